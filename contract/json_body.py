"""The JSON object that a request's body is to be, where it is JSON."""

import json
from typing import Any

from contract.inference import ErrorCode, InferenceError


def json_object(body: bytes | bytearray | str) -> dict[str, Any]:
    """Return the object.

    Raises:
        InferenceError: BAD_REQUEST, it is none; the message says why.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:  # what is not UTF-8 is a ValueError, too
        raise InferenceError(ErrorCode.BAD_REQUEST, f"the body is no JSON: {str(error)[:200]}") from error
    if not isinstance(fields, dict):
        raise InferenceError(ErrorCode.BAD_REQUEST, "a JSON object expected")
    return fields
