"""The SageMaker service: one object that takes requests and owns every process it starts."""

from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.config import LogStream, S3Client, ServiceConfig
from local_cloud.sagemaker.errors import ServiceError, unknown_operation

__all__ = ["LogStream", "S3Client", "SageMakerService", "ServiceConfig", "ServiceError"]


class SageMakerService:
    """SageMaker's control plane and runtime; every method may be called from any thread, and may block."""

    def __init__(self, config: ServiceConfig) -> None:
        """Prepare; nothing runs before ``start``."""
        self._config = config

    def start(self) -> None:
        """Restore the state; jobs that ran at a crash become Failed, endpoints in service are started again."""

    def stop(self) -> None:
        """End every process that was started, then save the state. S3 must answer until this returns."""

    def handle(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one control plane operation, for example ``handle("DescribeEndpoint", {"EndpointName": "a"})``.

        Args:
            operation: The name behind ``SageMaker.`` in X-Amz-Target.
            request: The request's JSON; timestamps as epoch seconds or datetimes.

        Returns:
            The response with timestamps as aware datetimes; ``wire.dumps`` makes the JSON of the wire of it.

        Raises:
            ServiceError: the request is refused.
        """
        raise unknown_operation(operation)

    def invoke_endpoint(self, name: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Send ``body`` to an endpoint's server; errors come back as a response too, never as an exception.

        Args:
            name: Endpoint name.
            body: The request's body, at most 25 MB as on AWS.
            headers: The client's headers (Content-Type, Accept, X-Amzn-SageMaker-*), in any case.

        Returns:
            Status, headers and body as the SageMaker runtime answers: the model's own with status 200, or an error
            with ``x-amzn-errortype`` (a model's error is ModelError, 424).
        """
        raise NotImplementedError

    def interrupt_training_job(self, name: str) -> None:
        """Take the spot instance away from a running job, as AWS may; the job starts anew from its checkpoints."""
