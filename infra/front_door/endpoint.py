"""Asking the endpoint, and what its errors mean to a client."""

import functools
import json
import logging
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError
from botocore.exceptions import ConnectionError as NoConnectionError

from contract.inference import RESPONSE_TYPE, STATUS, ErrorCode, InferenceError
from infra.front_door.clients import make_client
from infra.front_door.question import Question

LOG: Final = logging.getLogger("pedigree.front_door")

RETRY_AFTER_SECONDS: Final = 10
# Below the function's time-out, which is below API Gateway's 29 seconds: the client gets our answer, not theirs.
_READ_SECONDS: Final = 24
# A kept connection may have been closed by the other side; a second one is new.
_ATTEMPTS: Final = 2
_BUSY: Final = {
    "ServiceUnavailable",
    "ThrottlingException",
    "ModelNotReadyException",
    "InternalDependencyException",
    "InternalFailure",
}
_INVALID: Final = {"ValidationError", "ValidationException"}
# What SageMaker says of an endpoint that is not there, not there yet, or scaled to nothing.
_ABSENT: Final = ("not found", "not exist", "could not find", "not in service", "not inservice", "no capacity")


@functools.cache
def runtime() -> Any:
    """Return the client of the endpoint, made once per container so that its connections stay warm."""
    config = Config(
        connect_timeout=2, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1}, tcp_keepalive=True
    )
    return make_client("sagemaker-runtime", config)


def ask(endpoint_name: str, question: Question) -> str:
    """Return the endpoint's answer, as JSON text.

    Raises:
        InferenceError: the model refuses the photo, or cannot answer now.
    """
    options = {"CustomAttributes": question.attributes} if question.attributes else {}
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = runtime().invoke_endpoint(
                EndpointName=endpoint_name,
                Body=question.body,
                ContentType=question.content_type,
                Accept=RESPONSE_TYPE,
                **options,
            )
            return str(answer["Body"].read().decode())
        except ClientError as error:
            raise _translate(error) from error
        except (NoConnectionError, HTTPClientError) as error:
            # A prediction changes nothing, so asking twice is safe; but there is no time to wait twice.
            if attempt == _ATTEMPTS or isinstance(error, ReadTimeoutError):
                raise unavailable() from error
    raise AssertionError("the last attempt returns or raises")


def unavailable(message: str = "the model is not available right now; try again shortly") -> InferenceError:
    """Return the error of what may work later."""
    return InferenceError(ErrorCode.UNAVAILABLE, message, retry_after=RETRY_AFTER_SECONDS)


def internal() -> InferenceError:
    """Return the error of what is not the client's fault, and nothing that it should know."""
    return InferenceError(ErrorCode.INTERNAL, "something went wrong on our side; the request id helps us find it")


def _translate(error: ClientError) -> InferenceError:
    """Return what the client may know about an endpoint's error."""
    response: Any = error.response
    code = response["Error"]["Code"]
    message = response["Error"].get("Message", "")
    if code == "ModelError":
        return _model_error(int(response.get("OriginalStatusCode", 500)), str(response.get("OriginalMessage", "")))
    absent = code in _INVALID and any(words in message.lower() for words in _ABSENT)
    if absent or code in _BUSY:
        return unavailable()
    LOG.error("the endpoint refused a request: %s: %s", code, message)
    return internal()


def _model_error(status: int, message: str) -> InferenceError:
    """Pass on what the model says against the photo; keep its own troubles to ourselves."""
    if status in {STATUS[ErrorCode.UNAVAILABLE], STATUS[ErrorCode.TOO_MANY_REQUESTS]}:
        return unavailable()
    if not 400 <= status < 500:
        LOG.error("the model failed with status %d: %s", status, message)
        return internal()
    try:
        told = json.loads(message)["error"]
        return InferenceError(ErrorCode(told["code"]), str(told["message"]))
    except (ValueError, KeyError, TypeError):
        return InferenceError(ErrorCode.BAD_IMAGE, "the model cannot read this photo")
