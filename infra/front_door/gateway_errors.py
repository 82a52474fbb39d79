"""The errors that API Gateway answers by itself, in the same shape as ours."""

import json
from collections.abc import Sequence
from typing import Final

from aws_cdk import aws_apigateway as apigateway

from contract.inference import MAX_PHOTO_BYTES, RESPONSE_TYPE, STATUS, ErrorCode
from contract.names import ApiPath

_TYPES = apigateway.ResponseType
_ERRORS: Final = {
    "NotFound": (_TYPES.MISSING_AUTHENTICATION_TOKEN, ErrorCode.NOT_FOUND, "there is nothing at this path"),
    "ResourceNotFound": (_TYPES.RESOURCE_NOT_FOUND, ErrorCode.NOT_FOUND, "there is nothing at this path"),
    "InvalidKey": (_TYPES.INVALID_API_KEY, ErrorCode.FORBIDDEN, "send a valid API key in the x-api-key header"),
    "AccessDenied": (_TYPES.ACCESS_DENIED, ErrorCode.FORBIDDEN, "this request is not allowed"),
    "TooLarge": (
        _TYPES.REQUEST_TOO_LARGE,
        ErrorCode.TOO_LARGE,
        f"at most {MAX_PHOTO_BYTES} bytes of photo are taken here; larger ones by POST {ApiPath.UPLOADS}",
    ),
    "MediaType": (_TYPES.UNSUPPORTED_MEDIA_TYPE, ErrorCode.UNSUPPORTED_TYPE, "this content type is not supported"),
    "NoContentType": (
        _TYPES.BAD_REQUEST_PARAMETERS,
        ErrorCode.UNSUPPORTED_TYPE,
        "say in the Content-Type header what kind of photo this is",
    ),
    "Throttled": (_TYPES.THROTTLED, ErrorCode.TOO_MANY_REQUESTS, "too many requests; slow down"),
    "Quota": (_TYPES.QUOTA_EXCEEDED, ErrorCode.TOO_MANY_REQUESTS, "the quota of this API key is used up"),
    "Timeout": (_TYPES.INTEGRATION_TIMEOUT, ErrorCode.UNAVAILABLE, "the model took too long; try again shortly"),
    "Default4xx": (_TYPES.DEFAULT_4_XX, ErrorCode.BAD_REQUEST, "the request is not valid"),
    "Default5xx": (_TYPES.DEFAULT_5_XX, ErrorCode.INTERNAL, "something went wrong on our side"),
}


def add_gateway_errors(api: apigateway.RestApi, origins: Sequence[str]) -> None:
    """Give the gateway's own errors the shape of contract.inference, and let pages of ``origins`` read them.

    A gateway response knows one origin or whoever asks: where there are several, whoever asks, since these errors say
    nothing that a stranger could not be told.
    """
    readable = f"'{origins[0]}'" if len(origins) == 1 else "method.request.header.Origin"
    headers = {"X-Request-Id": "context.requestId"} | ({"Access-Control-Allow-Origin": readable} if origins else {})
    for construct_id, (response_type, code, message) in _ERRORS.items():
        body = {"error": {"code": str(code), "message": message, "request_id": "$context.requestId"}}
        is_default = construct_id.startswith("Default")
        api.add_gateway_response(
            construct_id,
            type=response_type,
            status_code=None if is_default else str(STATUS[code]),
            templates={RESPONSE_TYPE: json.dumps(body)},
            response_headers=headers,
        )
