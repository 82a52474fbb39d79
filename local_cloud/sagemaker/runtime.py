"""InvokeEndpoint: a request to an endpoint's server, and its answer as the SageMaker runtime gives it."""

import json
import random
from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.endpoints import Endpoints
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

    def __init__(self, config: ServiceConfig, endpoints: Endpoints) -> None:
        """Serve ``endpoints``."""
        self._config = config
        self._endpoints = endpoints

    def invoke(self, name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """InvokeEndpoint; errors are answers too."""
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
                return self._answer(name, server, body, given)
            except ConnectionRefusedError as error:
                cause = str(error)
            except TimeoutError:
                return self._model_error(name, 0, _TIMED_OUT)
            except ConnectionError as error:
                return self._model_error(name, 502, f"The container closed the connection: {error}")
        return _error(503, "ServiceUnavailable", f"The server of endpoint {name} is unavailable: {cause}")

    def _answer(self, name: str, server: ModelServer, body: bytes, given: Mapping[str, str]) -> Answer:
        passed = {k: v for k, v in given.items() if k in _PASSED_ON or k.startswith(_SAGEMAKER)}
        status, headers, content = server.invoke(body, passed)
        if not 200 <= status < 300:
            return self._model_error(name, status, content.decode("utf-8", "replace"))
        kept = {k: v for k, v in headers.items() if k == "content-type" or k.startswith(_SAGEMAKER)}
        return 200, {**kept, "x-amzn-invoked-production-variant": server.spec.variant}, content

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


def _pick(servers: list[ModelServer], variant: str | None) -> ModelServer | None:
    if variant is not None:
        return next((server for server in servers if server.spec.variant == variant), None)
    weights = [server.spec.weight for server in servers]
    return random.choices(servers, weights if sum(weights) else None)[0]


def _error(status: int, code: str, message: str, **more: Any) -> Answer:
    headers = {"content-type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps({"Message": message, **more}).encode()
