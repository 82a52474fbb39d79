"""JSON as SageMaker puts it on the wire: timestamps are epoch seconds."""

import json
from datetime import UTC, datetime
from typing import Any


def now() -> datetime:
    """Return the time to the millisecond, as SageMaker keeps it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _epoch(value: Any) -> float:
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{type(value).__name__} has no place in a SageMaker response")


def dumps(response: dict[str, Any]) -> bytes:
    """Return the response's JSON."""
    return json.dumps(response, default=_epoch, allow_nan=False).encode()
