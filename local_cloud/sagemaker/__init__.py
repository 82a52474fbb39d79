"""A SageMaker that acts: jobs are processes, tuning searches, endpoints are HTTP servers.

It speaks SageMaker's own protocols (see ``http.py``) and needs an S3 and somewhere to write log lines; it knows
neither the emulator beside it nor the model it trains.
"""
