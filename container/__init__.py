"""The image's two verbs, ``train`` and ``serve``: SageMaker's container contract in script mode.

Standard library and botocore only, so that a job starts in a fraction of a second.
"""
