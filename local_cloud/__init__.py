"""The laptop's AWS: MiniStack behind TLS, with a SageMaker that really runs jobs and endpoints.

Knows nothing about dogs: it runs what the deployed template names.
"""
