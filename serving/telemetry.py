"""What the server counts: for Prometheus at /metrics, and once a minute for CloudWatch as a log line.

CloudWatch reads the line where it lies among the container's others ("embedded metric format"): no agent, no
permission and no call on a request's way.
"""

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from serving.logs import logger

METRICS_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
NAMESPACE: Final = "Pedigree/Serving"
EMF_SECONDS: Final = 60.0
# From a decode on a fast core to SageMaker's 60 s; a step of about 1.6 tells 20 % of latency apart by interpolation.
_SECONDS: Final = (
    0.001, 0.0025, 0.004, 0.0063, 0.01, 0.016, 0.025, 0.04, 0.063, 0.1, 0.16, 0.25, 0.4, 0.63, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip
_PHOTOS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
# The format takes at most so many values of one metric in a line; of more, evenly spaced ones are sent.
_EMF_VALUES: Final = 100
# Between two lines at most so many latencies are kept; at more requests a minute the later ones replace the first.
_KEPT_LATENCIES: Final = 4096


class Stage(StrEnum):
    """Where a request's time goes."""

    DECODE = "decode"  # one photo: bytes to scaled pixels
    WAIT = "wait"  # one photo: scaled, and not yet in a batch
    MODEL = "model"  # one batch
    WHOLE = "whole"  # one request, from its head to its answer


class Telemetry:
    """The counts of one server; safe to use from several threads, except ``emf``."""

    def __init__(self, model_package: str | None = None) -> None:
        """Start at zero, for the version ``model_package`` of the model."""
        self._package = model_package or "none"
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "pedigree_requests", "Answered requests, except /ping", ("path", "status", "code"), registry=registry
        )
        stages = Histogram(
            "pedigree_stage_seconds", "Where the time goes", ("stage",), buckets=_SECONDS, registry=registry
        )
        self._stages = {stage: stages.labels(stage.value) for stage in Stage}
        self._batches = Histogram("pedigree_batch_photos", "Photos per batch", buckets=_PHOTOS, registry=registry)
        self._restarts = Counter("pedigree_model_restarts", "Model processes that were replaced", registry=registry)
        self._engine = Info("pedigree_engine", "How the network is run", registry=registry)
        self._restarted = 0
        self._latencies: list[float] = []
        self._answered = 0
        self._kinds: Tally[str] = Tally()
        ProcessCollector(registry=registry)

    def watch(self, *, ready: Callable[[], bool], waiting: Callable[[], int], body_bytes: Callable[[], int]) -> None:
        """Ask these whenever somebody looks: is the model ready, how many requests and how many bytes wait for it."""
        gauges = {
            "pedigree_ready": ("Whether /ping says 200", ready),
            "pedigree_queue_requests": ("Requests that hold a place", waiting),
            "pedigree_body_bytes": ("Bytes of bodies in memory", body_bytes),
        }
        for name, (help_text, value) in gauges.items():
            Gauge(name, help_text, registry=self.registry).set_function(value)

    def request(self, path: str, status: int, code: str, seconds: float) -> None:
        """Count an answered request: its route, status, the error's code or OK, and how long it took."""
        self._requests.labels(path, str(status), code).inc()
        if path != "/invocations":
            return
        self._stages[Stage.WHOLE].observe(seconds)
        self._kinds[f"{status // 100}xx"] += 1
        if len(self._latencies) < _KEPT_LATENCIES:
            self._latencies.append(seconds)
        else:
            self._latencies[self._answered % _KEPT_LATENCIES] = seconds
        self._answered += 1

    def observe(self, stage: Stage, seconds: float) -> None:
        """Count the time of one stage."""
        self._stages[stage].observe(seconds)

    def batch(self, photos: int) -> None:
        """Count a batch."""
        self._batches.observe(photos)

    def restarted(self) -> None:
        """Count a model process that had to be replaced."""
        self._restarts.inc()
        self._restarted += 1

    def engine(self, facts: Mapping[str, Any]) -> None:
        """Say how the network is run; values that are no plain ones stay in the log alone."""
        plain = {name: str(value) for name, value in facts.items() if isinstance(value, str | int | float)}
        self._engine.info(plain)

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def emf(self, now: float) -> dict[str, Any]:
        """Return what happened since the last call, as CloudWatch reads it from a log line; ``now`` in seconds."""
        values: dict[str, tuple[str, float | list[float]]] = {
            "Requests": ("Count", self._answered),
            "ClientErrors": ("Count", self._kinds["4xx"]),
            "ServerErrors": ("Count", self._kinds["5xx"]),
            "ModelRestarts": ("Count", self._restarted),
        }
        if self._latencies:
            milliseconds = [round(seconds * 1000, 1) for seconds in self._latencies]
            values["Latency"] = ("Milliseconds", evenly(sorted(milliseconds), _EMF_VALUES))
        self._latencies, self._answered, self._restarted, self._kinds = [], 0, 0, Tally()
        metrics = [{"Name": name, "Unit": unit} for name, (unit, _value) in values.items()]
        directive = {"Namespace": NAMESPACE, "Dimensions": [["ModelPackage"]], "Metrics": metrics}
        return {
            "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]},
            "ModelPackage": self._package,
            **{name: value for name, (_unit, value) in values.items()},
        }

    async def report(self, seconds: float = EMF_SECONDS) -> None:
        """Log what happened, every ``seconds``, until cancelled; then once more what is left."""
        try:
            while True:
                await asyncio.sleep(seconds)
                self._log()
        finally:
            self._log()

    def _log(self) -> None:
        logger.info("metrics", extra={"fields": self.emf(time.time())})


def evenly(values: list[float], limit: int) -> list[float]:
    """Return at most ``limit`` of the sorted ``values``, the first and the last among them."""
    if len(values) <= limit:
        return values
    return [values[round(i * (len(values) - 1) / (limit - 1))] for i in range(limit)]
