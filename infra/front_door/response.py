"""A response as API Gateway's proxy integration takes it."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from contract.inference import RESPONSE_TYPE, InferenceError


@dataclass(frozen=True)
class Response:
    """One answer; ``body`` in bytes is sent as such, text as UTF-8."""

    body: str | bytes
    content_type: str = RESPONSE_TYPE
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, body: Mapping[str, Any]) -> "Response":
        """Return what says ``body``."""
        return cls(json.dumps(body))

    @classmethod
    def error(cls, error: InferenceError, request_id: str, headers: Mapping[str, str]) -> "Response":
        """Return what tells a client of ``error``, and when to come back where that is known."""
        later = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
        return cls(json.dumps(error.body(request_id)), status=error.status, headers={**headers, **later})

    def event(self, request_id: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer for API Gateway, with ``headers`` besides its own."""
        is_bytes = isinstance(self.body, bytes)
        body = base64.b64encode(self.body).decode("ascii") if isinstance(self.body, bytes) else self.body
        own = {"Content-Type": self.content_type, "X-Request-Id": request_id, "X-Content-Type-Options": "nosniff"}
        return {
            "statusCode": int(self.status),
            "headers": {**own, **headers, **self.headers},
            "body": body,
            "isBase64Encoded": is_bytes,
        }
