"""What SageMaker tells CloudWatch of the requests to an endpoint."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NAMESPACE: Final = "AWS/SageMaker"
_MICRO: Final = 1_000_000
# Latencies are told to three digits: enough for any percentile, and equal ones are sent once.
_DIGITS: Final = 3


@dataclass(frozen=True)
class Datum:
    """Values of one metric, each with how often it was seen."""

    name: str
    unit: str
    dimensions: Mapping[str, str]
    values: Mapping[float, int]


@dataclass(frozen=True)
class Invocation:
    """One request that reached a variant's server.

    Attributes:
        endpoint: Its endpoint.
        variant: Its variant.
        instances: How many instances the variant has.
        status: What the model answered; 0 where it did not.
        model_seconds: How long the model took.
        overhead_seconds: How long the rest took.
    """

    endpoint: str
    variant: str
    instances: int
    status: int
    model_seconds: float
    overhead_seconds: float

    def measures(self) -> dict[tuple[str, str], float]:
        """Return (metric, unit) -> value, as SageMaker sends them: errors as a 1 each, every other request as a 0."""
        server_error = self.status == 0 or self.status >= 500
        client_error = 400 <= self.status < 500
        return {
            ("Invocations", "None"): 1.0,
            ("InvocationsPerInstance", "None"): 1 / max(1, self.instances),
            ("Invocation4XXErrors", "None"): float(client_error),
            ("Invocation5XXErrors", "None"): float(server_error),
            ("InvocationModelErrors", "None"): float(server_error or client_error),
            ("ModelLatency", "Microseconds"): _rounded(self.model_seconds),
            ("OverheadLatency", "Microseconds"): _rounded(self.overhead_seconds),
        }


def _rounded(seconds: float) -> float:
    return float(f"{seconds * _MICRO:.{_DIGITS}g}")


class InvocationMetrics:
    """Collects what is measured, from any thread and without waiting, and hands it over every few seconds."""

    def __init__(self, put: Callable[[str, Sequence[Datum]], None], seconds: float) -> None:
        """Hand over to ``put``: the namespace and the data; not at all where there was no request."""
        self._put = put
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pending: list[Invocation] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="invocation metrics", daemon=True)

    def start(self) -> None:
        """Hand over from now on."""
        self._thread.start()

    def add(self, invocation: Invocation) -> None:
        """Keep one request for the next time."""
        with self._lock:
            self._pending.append(invocation)

    def stop(self) -> None:
        """Hand over the rest and end."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._flush()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            batch, self._pending = self._pending, []
        if not batch:
            return
        seen: defaultdict[tuple[str, str, str, str], Counter[float]] = defaultdict(Counter)
        for invocation in batch:
            for (name, unit), value in invocation.measures().items():
                seen[name, unit, invocation.endpoint, invocation.variant][value] += 1
        data = [
            Datum(name, unit, {"EndpointName": endpoint, "VariantName": variant}, dict(values))
            for (name, unit, endpoint, variant), values in seen.items()
        ]
        self._put(NAMESPACE, data)
