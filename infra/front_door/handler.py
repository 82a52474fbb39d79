"""POST /predict: checks a photo, asks the endpoint, and answers every failure in one shape."""

import base64
import binascii
import functools
import json
import logging
import os
import time
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from contract.inference import CONTENT_TYPES, MAX_PHOTO_BYTES, RESPONSE_TYPE, STATUS, ErrorCode, InferenceError

LOG: Final = logging.getLogger("pedigree.front_door")
LOG.setLevel(logging.INFO)

RETRY_AFTER_SECONDS: Final = 10
# Below the function's time-out, which is below API Gateway's 29 seconds: the client gets our answer, not theirs.
_READ_SECONDS: Final = 24
_JPEG, _PNG, _WEBP = CONTENT_TYPES
_BUSY: Final = {
    "ServiceUnavailable",
    "ThrottlingException",
    "ModelNotReadyException",
    "InternalDependencyException",
    "InternalFailure",
}


@functools.cache
def runtime() -> Any:
    """Return the client of the endpoint, made once per container so that its connections stay warm."""
    config = Config(connect_timeout=2, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client("sagemaker-runtime", config=config)


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one request of API Gateway's proxy integration."""
    started = time.monotonic()
    request_id = str(event.get("requestContext", {}).get("requestId", ""))
    entry: dict[str, Any] = {"request_id": request_id}
    try:
        photo, content_type = read_photo(event)
        entry |= {"bytes": len(photo), "content_type": content_type}
        response = _response(200, predict(photo, content_type), request_id)
    except InferenceError as error:
        entry["code"] = str(error.code)
        response = _error(error, request_id)
    except Exception:
        LOG.exception("request %s failed", request_id)
        entry["code"] = str(ErrorCode.INTERNAL)
        response = _error(_internal(), request_id)
    milliseconds = round((time.monotonic() - started) * 1000, 1)
    LOG.info(json.dumps(entry | {"status": response["statusCode"], "ms": milliseconds}))
    return response


def read_photo(event: dict[str, Any]) -> tuple[bytes, str]:
    """Return the photo of a request and its real content type, found by its first bytes.

    Raises:
        InferenceError: the request holds nothing that can be a photo.
    """
    method = event.get("httpMethod", "")
    if method != "POST":
        raise InferenceError(ErrorCode.METHOD_NOT_ALLOWED, f"send the photo with POST, not {method}")
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    declared = str(headers.get("content-type") or "").split(";")[0].strip().lower()
    if declared not in CONTENT_TYPES:
        raise InferenceError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"the content type {declared or '(none)'} is not supported; send one of {', '.join(CONTENT_TYPES)}",
        )
    photo = _decode(event.get("body") or "", bool(event.get("isBase64Encoded")))
    if not photo:
        raise InferenceError(ErrorCode.EMPTY_BODY, "the body is empty; send the photo's bytes as the body")
    if len(photo) > MAX_PHOTO_BYTES:
        raise InferenceError(
            ErrorCode.TOO_LARGE, f"the photo has {len(photo)} bytes; at most {MAX_PHOTO_BYTES} are taken"
        )
    return photo, _sniff(photo)


def predict(photo: bytes, content_type: str) -> str:
    """Return the endpoint's answer for a photo, as JSON text.

    Raises:
        InferenceError: the model refuses the photo, or cannot answer now.
    """
    try:
        answer = runtime().invoke_endpoint(
            EndpointName=os.environ["ENDPOINT_NAME"], Body=photo, ContentType=content_type, Accept=RESPONSE_TYPE
        )
        return str(answer["Body"].read().decode())
    except ClientError as error:
        raise _translate(error) from error
    except (NoConnectionError, HTTPClientError) as error:
        raise _unavailable() from error


def _decode(body: str, is_base64: bool) -> bytes:
    if not is_base64:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise InferenceError(ErrorCode.BAD_IMAGE, "the body is no valid base64") from None


def _sniff(photo: bytes) -> str:
    """Return the content type by the photo's first bytes; what it calls itself is not trusted."""
    if photo.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if photo.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP":
        return _WEBP
    raise InferenceError(ErrorCode.BAD_IMAGE, "the body is no JPEG, PNG or WebP photo")


def _translate(error: ClientError) -> InferenceError:
    """Return what the client may know about an endpoint's error."""
    response: Any = error.response
    code = response["Error"]["Code"]
    message = response["Error"].get("Message", "")
    if code == "ModelError":
        return _model_error(int(response.get("OriginalStatusCode", 500)), str(response.get("OriginalMessage", "")))
    absent = code in {"ValidationError", "ValidationException"} and "not found" in message
    if absent or code in _BUSY:
        return _unavailable()
    LOG.error("the endpoint refused a request: %s: %s", code, message)
    return _internal()


def _model_error(status: int, message: str) -> InferenceError:
    """Pass on what the model says against the photo; keep its own troubles to ourselves."""
    if status in {STATUS[ErrorCode.UNAVAILABLE], STATUS[ErrorCode.TOO_MANY_REQUESTS]}:
        return _unavailable()
    if not 400 <= status < 500:
        LOG.error("the model failed with status %d: %s", status, message)
        return _internal()
    try:
        told = json.loads(message)["error"]
        return InferenceError(ErrorCode(told["code"]), str(told["message"]))
    except (ValueError, KeyError, TypeError):
        return InferenceError(ErrorCode.BAD_IMAGE, "the model cannot read this photo")


def _unavailable() -> InferenceError:
    return InferenceError(ErrorCode.UNAVAILABLE, "the model is not available right now; try again shortly")


def _internal() -> InferenceError:
    return InferenceError(ErrorCode.INTERNAL, "something went wrong on our side; the request id helps us find it")


def _error(error: InferenceError, request_id: str) -> dict[str, Any]:
    response = _response(error.status, json.dumps(error.body(request_id)), request_id)
    if error.code is ErrorCode.UNAVAILABLE:
        response["headers"]["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if error.code is ErrorCode.METHOD_NOT_ALLOWED:
        response["headers"]["Allow"] = "POST"
    return response


def _response(status: int, body: str, request_id: str) -> dict[str, Any]:
    headers = {"Content-Type": RESPONSE_TYPE, "X-Request-Id": request_id}
    return {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
