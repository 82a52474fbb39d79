"""InvokeEndpoint: a request to an endpoint's server, and its answer as the SageMaker runtime gives it."""

import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from local_cloud.sagemaker.capture import DataCapture
from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.endpoints import Endpoints
from local_cloud.sagemaker.invocation_metrics import Invocation, InvocationMetrics
from local_cloud.sagemaker.model_server import ModelServer

Answer = tuple[int, dict[str, str], bytes]

MAX_BODY = 25 * 1024 * 1024  # bytes; SageMaker's own limit
_PASSED_ON = ("content-type", "accept")
_SAGEMAKER = "x-amzn-sagemaker-"
_TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Runtime:
    """SageMaker's runtime API."""

    def __init__(
        self, config: ServiceConfig, endpoints: Endpoints, metrics: InvocationMetrics, capture: DataCapture
    ) -> None:
        """Serve ``endpoints``; every request is measured, and captured where its endpoint wants that."""
        self._config = config
        self._endpoints = endpoints
        self._metrics = metrics
        self._capture = capture

    def invoke(self, name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """InvokeEndpoint; errors are answers too."""
        begun = time.monotonic()
        given = {header.lower(): value for header, value in headers.items()}
        if len(body) > MAX_BODY:
            return _error(
                400,
                "ValidationError",
                f"1 validation error detected: Value of {len(body)} bytes at 'body' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_BODY}",
            )
        # A second attempt where the first one's server was replaced or died meanwhile.
        for _ in range(2):
            servers = self._endpoints.servers(name)
            if servers is None:
                return _error(400, "ValidationError", f"Endpoint {name} of account {self._config.account} not found.")
            server = _pick(servers, given.get(_TARGET_VARIANT))
            if server is None:
                return _error(400, "ValidationError", f"Variant {given[_TARGET_VARIANT]} not found in {name}.")
            try:
                return self._answer(server, body, given, begun)
            except ConnectionRefusedError as error:
                cause = str(error)
        return _error(503, "ServiceUnavailable", f"The server of endpoint {name} is unavailable: {cause}")

    def _answer(self, server: ModelServer, body: bytes, given: Mapping[str, str], begun: float) -> Answer:
        """Ask the model, measure it, and word its answer as SageMaker does.

        Raises:
            ConnectionRefusedError: it has not been asked.
        """
        spec = server.spec
        passed = {k: v for k, v in given.items() if k in _PASSED_ON or k.startswith(_SAGEMAKER)}
        asked = time.monotonic()
        status, headers, content = _ask(server, body, passed)
        took = time.monotonic() - asked
        overhead = time.monotonic() - begun - took
        self._metrics.add(Invocation(spec.endpoint, spec.variant, spec.instances, status, took, overhead))
        if not 200 <= status < 300:
            return self._model_error(spec.endpoint, status, content.decode("utf-8", "replace"))
        answered = (headers.get("content-type", ""), content)
        self._capture.offer(server, (given.get("content-type", ""), body), answered)
        kept = {k: v for k, v in headers.items() if k == "content-type" or k.startswith(_SAGEMAKER)}
        return 200, {**kept, "x-amzn-invoked-production-variant": spec.variant}, content

    def _model_error(self, name: str, status: int, message: str) -> Answer:
        region, account = self._config.region, self._config.account
        group = f"/aws/sagemaker/Endpoints/{name}"
        kind = "client" if 400 <= status < 500 else "server"
        return _error(
            424,
            "ModelError",
            f'Received {kind} error ({status}) from primary with message "{message}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} "
            f"in account {account} for more information.",
            OriginalStatusCode=status,
            OriginalMessage=message,
            LogStreamArn=f"arn:aws:logs:{region}:{account}:log-group:{group}",
        )


def _ask(server: ModelServer, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Return what the model answers; status 0 for nothing in time, 502 for a connection that it closed.

    Raises:
        ConnectionRefusedError: it has not been asked.
    """
    try:
        return server.invoke(body, headers)
    except ConnectionRefusedError:
        raise
    except TimeoutError:
        return 0, {}, _TIMED_OUT.encode()
    except ConnectionError as error:
        return 502, {}, f"The container closed the connection: {error}".encode()


def _pick(servers: Sequence[ModelServer], variant: str | None) -> ModelServer | None:
    if variant is not None:
        return next((server for server in servers if server.spec.variant == variant), None)
    weights = [server.spec.weight for server in servers]
    return random.choices(servers, weights if sum(weights) else None)[0]


def _error(status: int, code: str, message: str, **more: Any) -> Answer:
    headers = {"content-type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps({"Message": message, **more}).encode()
