"""What the API says instead of an answer, in words and with what to do about it."""

from typing import Any, Final

import httpx

from console.prediction.failure import Cause, PhotoError
from console.prediction.patience import Reply
from contract.inference import MAX_UPLOAD_BYTES, ErrorCode

# Errors that this console does not provoke: it and the API are not of the same version.
_MISMATCH: Final = "What is deployed may not match this console: pedigree deploy"
_HINTS: Final = {
    ErrorCode.BAD_REQUEST: "Is --top more than the names that the model knows?",
    ErrorCode.BAD_IMAGE: "Open it in a viewer: it may be damaged, or no photo at all.",
    ErrorCode.EMPTY_BODY: "There is nothing in it.",
    ErrorCode.FORBIDDEN: "The API key is not accepted. Was the stage just deployed? A new key takes a minute on AWS.",
    ErrorCode.NOT_FOUND: "The API has no such path. Was another app, or an older version, deployed over it?",
    ErrorCode.TOO_LARGE: f"Make it smaller: at most {MAX_UPLOAD_BYTES / 1e6:.0f} MB and 64 megapixels.",
    ErrorCode.UNSUPPORTED_TYPE: "Save it as JPEG, PNG or WebP. HEIC is understood only where the model can read it.",
    ErrorCode.TOO_MANY_REQUESTS: "The API lets only so many photos through. Ask again later.",
    ErrorCode.UNAVAILABLE: "No model is being served yet, or it is starting: pedigree status",
    ErrorCode.INTERNAL: "The API's log says more: aws logs tail",
}


def refusal(reply: Reply) -> PhotoError:
    """Return the error that the API answered."""
    response = reply.response
    error = json_object(response).get("error")
    if not isinstance(error, dict) or "code" not in error:
        return not_understood(response)
    code, request_id = str(error["code"]), str(error.get("request_id", "?"))
    hint = _HINTS.get(ErrorCode(code), _MISMATCH) if code in set(ErrorCode) else ""
    if reply.retry_after is not None:
        hint = f"It asks to be left alone for {reply.retry_after:.0f} s. {hint}".rstrip()
    times = f", asked {reply.attempts} times" if reply.attempts > 1 else ""
    return PhotoError(
        code,
        str(error.get("message", "")),
        hint,
        circumstances=f"{response.status_code} {code}, request {request_id}{times}",
        request_id=request_id,
    )


def not_understood(response: httpx.Response) -> PhotoError:
    """Return what is said where something answered that is not this API."""
    said = f"The API answered {response.status_code}: {response.text[:200]}"
    return PhotoError(Cause.NOT_UNDERSTOOD, said, _MISMATCH, request_id=response.headers.get("X-Request-Id"))


def unreachable(url: str, error: Exception) -> PhotoError:
    """Return what is said where nothing answered."""
    why = str(error) or type(error).__name__
    return PhotoError(Cause.UNREACHABLE, f"{url} does not answer: {why}.", "Is the cloud running? pedigree status")


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Return a response's JSON object; an empty one where it is none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
