"""Requests as API Gateway's proxy integration hands them over."""

import base64
from typing import Any
from urllib.parse import parse_qsl

KEY = "a-secret-key"


def event(
    resource: str = "/predict",
    *,
    method: str = "POST",
    body: bytes | None = None,
    content_type: str | None = "image/jpeg",
    query: str = "",
    path_values: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return the event of a request."""
    several: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        several.setdefault(name, []).append(value)
    kind = {} if content_type is None else {"Content-Type": content_type}
    return {
        "resource": resource,
        "httpMethod": method,
        "headers": {"X-Api-Key": KEY} | kind | (headers or {}),
        "multiValueQueryStringParameters": several or None,
        "pathParameters": path_values,
        "requestContext": {"requestId": "r-1"},
        "body": None if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }
