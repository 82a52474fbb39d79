"""Execution histories as Step Functions tells them, written briefly."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Script:
    """Collects events in order."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def _add(self, seconds: float, kind: str, **details: Any) -> "Script":
        self.events.append({"id": len(self.events) + 1, "type": kind, "timestamp": at(seconds), **details})
        return self

    def enter(self, seconds: float, state: str, kind: str = "Task") -> "Script":
        return self._add(seconds, f"{kind}StateEntered", stateEnteredEventDetails={"name": state})

    def leave(self, seconds: float, state: str, kind: str = "Task") -> "Script":
        return self._add(seconds, f"{kind}StateExited", stateExitedEventDetails={"name": state})

    def submit(self, seconds: float, kind: str, name: str) -> "Script":
        output = json.dumps({f"{kind}Arn": f"arn:aws:sagemaker:us-east-1:000000000000:{kind.lower()}/{name}"})
        details = {"resourceType": "sagemaker", "resource": f"create{kind}.sync", "output": output}
        return self._add(seconds, "TaskSubmitted", taskSubmittedEventDetails=details)

    def end(self, seconds: float, status: str = "Succeeded") -> "Script":
        return self._add(seconds, f"Execution{status}")
