"""An Application Auto Scaling for the variants of SageMaker's endpoints: it keeps what is registered, and their counts.

It knows SageMaker only as AWS's does, through its API.
"""
