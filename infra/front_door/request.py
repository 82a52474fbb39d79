"""A request as API Gateway's proxy integration hands it over."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.inference import ErrorCode, InferenceError


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        id: API Gateway's, which its logs name, too.
        method: in capitals.
        resource: the path as the document spells it: /breeds/{number}/photo.
        path_values: what stands in the path's braces.
        query: names with values, in order; a name may stand there twice.
        headers: by their names in small letters.
        raw_body: as it came, in base64 where ``is_base64``.
    """

    id: str
    method: str
    resource: str
    path_values: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    raw_body: str
    is_base64: bool

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Request":
        """Read an event; what a request lacks is null or absent in it."""
        several: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
        return cls(
            id=str((event.get("requestContext") or {}).get("requestId", "")),
            method=str(event.get("httpMethod", "")),
            resource=str(event.get("resource", "")),
            path_values=event.get("pathParameters") or {},
            query=tuple((name, value) for name, values in several.items() for value in values),
            headers={name.lower(): str(value) for name, value in (event.get("headers") or {}).items()},
            raw_body=event.get("body") or "",
            is_base64=bool(event.get("isBase64Encoded")),
        )

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in small letters; empty where none is given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def body(self, expected: str = "the photo's bytes as the body") -> bytes:
        """Return the body's bytes; where there are none, the client is told to send what is ``expected``.

        Raises:
            InferenceError: EMPTY_BODY or BAD_REQUEST.
        """
        if not self.raw_body:
            raise InferenceError(ErrorCode.EMPTY_BODY, f"the body is empty; send {expected}")
        if not self.is_base64:
            return self.raw_body.encode()
        try:
            return base64.b64decode(self.raw_body, validate=True)
        except binascii.Error:
            raise InferenceError(ErrorCode.BAD_REQUEST, "the body is no valid base64") from None
