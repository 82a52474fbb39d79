"""One S3 bucket as the state machine sees it, conditional writes and deletes included."""

import hashlib
import json
from typing import Any

from tests.infra.machine import TaskError

PRECONDITION_FAILED = TaskError(
    "S3.S3Exception",
    "At least one of the pre-conditions you specified did not hold (Service: S3, Status Code: 412, Request ID: R)",
)
CONFLICT = TaskError("S3.S3Exception", "A conflicting operation occurred. (Service: S3, Status Code: 409)")


def etag(stored: Any) -> str:
    """Return the entity tag of an object, quoted as S3 does."""
    return f'"{hashlib.md5(json.dumps(stored).encode(), usedforsecurity=False).hexdigest()}"'


class FakeBucket:
    """Objects by key, kept as the JSON that they hold."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def get(self, request: Any) -> Any:
        """GetObject."""
        if request["Key"] not in self.objects:
            raise TaskError("S3.NoSuchKeyException", "The specified key does not exist.")
        stored = self.objects[request["Key"]]
        return {"Body": json.dumps(stored), "ETag": etag(stored)}

    def put(self, request: Any) -> Any:
        """PutObject."""
        assert isinstance(request["Body"], dict), "a string body would be stored with quotes around it"
        key = request["Key"]
        if "IfNoneMatch" in request:
            assert request["IfNoneMatch"] == "*", "S3 knows no other value"
            if key in self.objects:
                raise PRECONDITION_FAILED
        if "IfMatch" in request:
            self._check_match(request)
        self.objects[key] = request["Body"]
        return {"ETag": etag(request["Body"])}

    def delete(self, request: Any) -> Any:
        """DeleteObject."""
        if "IfMatch" in request:
            self._check_match(request)
        self.objects.pop(request["Key"], None)
        return {}

    def _check_match(self, request: Any) -> None:
        if request["Key"] not in self.objects:
            raise TaskError("S3.NoSuchKeyException", "The specified key does not exist.")
        if request["IfMatch"] != etag(self.objects[request["Key"]]):
            raise PRECONDITION_FAILED
