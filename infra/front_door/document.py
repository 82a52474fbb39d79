"""The API's description in OpenAPI 3: the construct makes the gateway's methods of it, people and tools read it.

What two sides must agree on comes from ``contract``; what is said here and done elsewhere is compared by the tests,
which ask the running API everything that this document allows.
"""

import functools
from typing import Any, Final

from contract.front_door import API_KEY_HEADER, MULTIPART_TYPE, UPLOAD_FIELD, UPLOAD_SECONDS
from contract.inference import (
    JSON_TYPE,
    MAX_PHOTO_BYTES,
    MAX_PHOTOS,
    MAX_UPLOAD_BYTES,
    PHOTO_FIELD,
    PHOTOS_FIELD,
    STATUS,
    TOP_K,
    ErrorCode,
)
from contract.names import ApiPath
from contract.options import EXPLAIN, TOP
from contract.photo_types import PHOTO_TYPES

_BASE64: Final = {"type": "string", "format": "byte"}
_BINARY: Final = {"type": "string", "format": "binary"}
# What any request may be told, whatever it asks for: by the gateway, or because something broke.
_ALWAYS: Final = (ErrorCode.BAD_REQUEST, ErrorCode.FORBIDDEN, ErrorCode.TOO_MANY_REQUESTS, ErrorCode.INTERNAL)
_NEEDS_MODEL: Final = (ErrorCode.UNAVAILABLE,)
_WHAT: Final = {
    400: "The request, its options or the photo cannot be used; the message says why.",
    403: "The API key is missing or not accepted.",
    404: "There is no such thing here.",
    413: "The photo is too large.",
    415: "The content type is not one that is taken.",
    429: "Too many requests for this key; try again after a pause.",
    500: "Something went wrong on our side.",
    503: "No model answers right now; the header Retry-After says when to ask again.",
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {JSON_TYPE: {"schema": schema}}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return _object(required, **properties) | {"additionalProperties": False}


def _options() -> dict[str, Any]:
    top = {
        "type": "integer",
        "minimum": 1,
        "description": f"How many labels, most probable first; {TOP_K} unless said, at most as many as there are.",
    }
    explain = {"type": "boolean", "default": False, "description": "Whether to show what the model looked at."}
    return {TOP: top, EXPLAIN: explain}


def _schemas() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}
    whole = {"type": "integer"}
    return {
        "Error": _object(
            ["error"],
            error=_object(
                ["code", "message", "request_id"],
                code=text | {"enum": [str(code) for code in ErrorCode]},
                message=text | {"description": "For people; what is wrong and what to do."},
                request_id=text | {"description": "Names this request in the API's logs."},
            ),
        ),
        "Prediction": _object(["label", "probability"], label=text, probability=number),
        "Explanation": _object(
            ["label", "content_type", "data"],
            label=text | {"description": "What the picture shows the reasons for."},
            content_type=text,
            data=_BASE64 | {"description": "The photo, coloured where the model found what speaks for the label."},
        ),
        "Answer": _object(
            ["predictions"],
            predictions={"type": "array", "items": _ref("Prediction"), "minItems": 1},
            confident={
                "type": "boolean",
                "description": "false: this may be nothing that the model knows. Absent where the model does not say.",
            },
            explanation=_ref("Explanation"),
        ),
        "Answers": _object(
            ["answers"],
            answers={
                "type": "array",
                "description": "One for each photo, in their order: its answer, or its error.",
                "items": {"anyOf": [_ref("Answer"), _ref("PhotoError")]},
            },
        ),
        "PhotoError": _object(["error"], error=_object(["code", "message"], code=text, message=text)),
        "OnePhoto": _closed([PHOTO_FIELD], **{PHOTO_FIELD: _BASE64}, **_options()),
        "SeveralPhotos": _closed(
            [PHOTOS_FIELD],
            **{PHOTOS_FIELD: {"type": "array", "items": _BASE64, "minItems": 1, "maxItems": MAX_PHOTOS}},
            **_options(),
        ),
        "UploadedPhoto": _closed(
            [UPLOAD_FIELD],
            **{UPLOAD_FIELD: text | {"description": "What POST /uploads answered."}},
            **_options(),
        ),
        "Form": _closed([PHOTO_FIELD], **{PHOTO_FIELD: _BINARY}, **_options()),
        "Breeds": _object(
            ["breeds"],
            breeds={
                "type": "array",
                "items": _object(
                    ["label", "example"],
                    label=text,
                    example=text | {"nullable": True, "description": "A small photo of it, below the API's address."},
                ),
            },
        ),
        "Health": _object(
            ["ready", "endpoint", "model"],
            ready={"type": "boolean", "description": "Whether photos are answered now."},
            endpoint=text | {"description": "SageMaker's word for the endpoint's state, or Absent."},
            model=_object(
                ["version", "accuracy"],
                version=whole | {"nullable": True},
                accuracy=number | {"nullable": True, "description": "Share of the test photos that it names right."},
            )
            | {"nullable": True},
        ),
        "NewUpload": _closed(
            ["bytes", "content_type"],
            bytes=whole | {"minimum": 1, "maximum": MAX_UPLOAD_BYTES},
            content_type=text | {"enum": list(PHOTO_TYPES)},
        ),
        "Upload": _object(
            ["upload", "method", "url", "headers", "expires_in"],
            upload=text | {"description": "For POST /predict."},
            method=text | {"enum": ["PUT"]},
            url=text | {"format": "uri"},
            headers={"type": "object", "additionalProperties": text, "description": "To be sent as they are."},
            expires_in=whole | {"description": f"Seconds; {UPLOAD_SECONDS}."},
        ),
    }


def _errors(codes: tuple[ErrorCode, ...]) -> dict[str, Any]:
    statuses = sorted({STATUS[code] for code in codes})
    return {str(status): {"description": _WHAT[status], "content": _json(_ref("Error"))} for status in statuses}


def _operation(
    name: str, summary: str, answers: dict[str, Any], errors: tuple[ErrorCode, ...] = (), **more: Any
) -> dict[str, Any]:
    """Return one operation; one that says ``security=[]`` is open to everybody, and knows no wrong key."""
    ok = {"200": {"description": "What was asked for.", "content": answers}}
    always = tuple(code for code in _ALWAYS if code is not ErrorCode.FORBIDDEN) if "security" in more else _ALWAYS
    return {"operationId": name, "summary": summary, **more, "responses": ok | _errors(always + errors)}


def _predict() -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "query", "schema": schema, "description": schema["description"]}
        for name, schema in _options().items()
    ]
    as_json = {"oneOf": [_ref("OnePhoto"), _ref("SeveralPhotos"), _ref("UploadedPhoto")]}
    content = {kind: {"schema": _BINARY} for kind in PHOTO_TYPES}
    content |= {MULTIPART_TYPE: {"schema": _ref("Form")}} | _json(as_json)
    errors = (ErrorCode.NOT_FOUND, ErrorCode.TOO_LARGE, ErrorCode.UNSUPPORTED_TYPE, *_NEEDS_MODEL)
    return _operation(
        "predict",
        "Say what is on a photo",
        _json({"anyOf": [_ref("Answer"), _ref("Answers")]}),
        errors,
        description=(
            f"The photo is the body as it is, at most {MAX_PHOTO_BYTES:,} bytes and 64 megapixels; or the file of a "
            f"form; or base64 in JSON, several at once if wanted; or one that was uploaded before. Its bytes say what "
            "it is, not the content type. HEIC is understood where the model's machine has its decoder."
        ),
        parameters=parameters,
        requestBody={"required": True, "content": content},
    )


def _paths() -> dict[str, Any]:
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
    page = {"text/html": {"schema": {"type": "string"}}}
    return {
        ApiPath.PREDICT: {"post": _predict()},
        ApiPath.BREEDS: {"get": _operation("breeds", "List what the model knows", _json(_ref("Breeds")), _NEEDS_MODEL)},
        ApiPath.EXAMPLE: {
            "get": _operation(
                "example",
                "Show a small photo of one label",
                {"image/jpeg": {"schema": _BINARY}},
                (ErrorCode.NOT_FOUND, *_NEEDS_MODEL),
                parameters=[number],
            )
        },
        ApiPath.HEALTH: {
            "get": _operation("health", "Say whether a model answers, and how good it is", _json(_ref("Health")))
        },
        ApiPath.UPLOADS: {
            "post": _operation(
                "upload",
                "Get an address for a large photo",
                _json(_ref("Upload")),
                (ErrorCode.TOO_LARGE, ErrorCode.UNSUPPORTED_TYPE),
                description=(
                    f"For photos of up to {MAX_UPLOAD_BYTES:,} bytes. PUT the photo to the address within "
                    f"{UPLOAD_SECONDS // 60} minutes, then POST its name to {ApiPath.PREDICT}; it is gone after a day."
                ),
                requestBody={"required": True, "content": _json(_ref("NewUpload"))},
            )
        },
        ApiPath.PAGE: {"get": _operation("page", "The page for people", page, security=[])},
        ApiPath.DOCS: {"get": _operation("docs", "This description, for people", page, security=[])},
        ApiPath.DOCUMENT: {
            "get": _operation("document", "This description, for tools", _json({"type": "object"}), security=[])
        },
    }


@functools.cache
def api_document() -> dict[str, Any]:
    """Return the OpenAPI document, relative to whose own address the API is found."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Pedigree",
            "version": "1",
            "description": (
                "POST a photo, get the names that fit it best. "
                "Errors have one shape, and an id that names them in the logs."
            ),
        },
        "servers": [{"url": "."}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER}},
            "schemas": _schemas(),
        },
    }
