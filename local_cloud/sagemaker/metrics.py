"""Metrics that a job prints and its MetricDefinitions find."""

import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from local_cloud.sagemaker.errors import validation
from local_cloud.sagemaker.wire import now


class MetricReader:
    """Keeps the last value of every metric; lines may come from any thread."""

    def __init__(
        self, definitions: Iterable[Mapping[str, str]], told: Callable[[str, float], None] | None = None
    ) -> None:
        """Take ``MetricDefinitions`` of an AlgorithmSpecification; ``told`` hears of each value as it comes.

        Raises:
            ServiceError: an expression cannot be compiled.
        """
        self._expressions = [(entry["Name"], _compiled(entry)) for entry in definitions]
        self._last: dict[str, tuple[float, datetime]] = {}
        self._lock = threading.Lock()
        self._told = told

    def read(self, line: str) -> None:
        """Look for every metric in one line."""
        for name, expression in self._expressions:
            found = expression.search(line)
            value = _number(found) if found else None
            if value is not None:
                with self._lock:
                    self._last[name] = (value, now())
                if self._told is not None:
                    self._told(name, value)

    def final(self) -> list[dict[str, Any]]:
        """Return FinalMetricDataList."""
        with self._lock:
            return [
                {"MetricName": name, "Value": value, "Timestamp": moment}
                for name, (value, moment) in self._last.items()
            ]


def _compiled(definition: Mapping[str, str]) -> re.Pattern[str]:
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise validation(
            f"Invalid metric regex {definition['Regex']!r} for metric {definition['Name']!r}: {error}"
        ) from error


def _number(found: re.Match[str]) -> float | None:
    """Return group 1 as a number; None where there is none that JSON can carry (nan and infinities have no place)."""
    if not found.re.groups or found[1] is None:
        return None
    try:
        value = float(found[1])
    except ValueError:
        return None
    return value if math.isfinite(value) else None
