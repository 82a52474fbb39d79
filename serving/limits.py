"""What the environment says of how to serve: the stacks' variables (``contract.serving.Variable``) and SageMaker's own.

SageMaker's are documented under "Use your own inference code" (hosting, batch transform) and in its inference toolkit.
A value that cannot be used ends the server before it listens: served otherwise than asked for would be found out late.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.inference import MAX_BODY_BYTES
from contract.serving import DEFAULT_SERVING, ENGINES, Serving, Variable

_MEBIBYTE: Final = 1_048_576
_PORTS: Final = (1, 65_535)
_PORT_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
# It stands in a response header.
_TOKEN = re.compile(r"[!-~]{1,256}")
# logging's numbers, as the inference toolkit passes them.
_LOG_LEVELS: Final = (logging.DEBUG, logging.CRITICAL)


class LimitError(Exception):
    """An environment variable that cannot be followed: names it, its value and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How this server is to serve.

    Attributes:
        host, port: where it listens.
        safe_ports: first and last port that whatever else listens here may use; nothing does.
        serving: engine, batches, queue and timeout.
        body_bytes: so large a request's body is at most.
        batch_transform: whether a batch transform job asks, and no people.
        workers: how many model processes were asked for; there is one per device, whatever is asked.
        model_package: the version in the registry that is served.
        log_level: from which level on log lines are written.
    """

    host: str = "0.0.0.0"  # noqa: S104  SageMaker reaches the container from outside
    port: int = 8080
    safe_ports: tuple[int, int] | None = None
    serving: Serving = DEFAULT_SERVING
    body_bytes: int = MAX_BODY_BYTES
    batch_transform: bool = False
    workers: int | None = None
    model_package: str | None = None
    log_level: int = logging.INFO

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Limits":
        """Return what ``environment`` asks for.

        Raises:
            LimitError: a value cannot be used.
        """
        given = _Given(environment)
        port = given.number("SAGEMAKER_BIND_TO_PORT", *_PORTS)
        batch = given.flag("SAGEMAKER_BATCH")
        return cls(
            host="127.0.0.1" if port else cls.host,
            port=port or cls.port,
            safe_ports=given.ports("SAGEMAKER_SAFE_PORT_RANGE"),
            serving=_serving(given, batch),
            # 0: as large as the transform job's objects are, which is no promise that a body is read whole.
            body_bytes=_MEBIBYTE * (given.number("SAGEMAKER_MAX_PAYLOAD_IN_MB", 0, 100) or 0) or MAX_BODY_BYTES,
            batch_transform=batch,
            workers=given.number("SAGEMAKER_MODEL_SERVER_WORKERS", 1, 1024),
            model_package=given.token(Variable.MODEL_PACKAGE),
            log_level=given.number("SAGEMAKER_CONTAINER_LOG_LEVEL", *_LOG_LEVELS) or cls.log_level,
        )


def _serving(given: "_Given", batch: bool) -> Serving:
    default = DEFAULT_SERVING
    queue = given.number(Variable.QUEUE_PHOTOS, 1, 100_000) or default.queue_photos
    # A transform job counts a refusal against its photo, so everything that it may send at once has a place.
    at_once = given.number("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 0, 100_000) or 0
    seconds = given.number(Variable.TIMEOUT_SECONDS, 1, 3600)
    asked = given.number("SAGEMAKER_MODEL_SERVER_TIMEOUT", 1, 3600)
    batch_photos = given.number(Variable.BATCH_PHOTOS, 0, 1024)
    wait = given.number(Variable.BATCH_WAIT_MS, 0, 10_000)
    return Serving(
        engine=given.one_of(Variable.ENGINE, ENGINES) or default.engine,
        batch_photos=default.batch_photos if batch_photos is None else batch_photos,
        batch_wait_ms=default.batch_wait_ms if wait is None else wait,
        queue_photos=max(queue, at_once) if batch else queue,
        timeout_seconds=seconds or asked or default.timeout_seconds,
    )


class _Given:
    """The environment's values, typed; one that is empty counts as not given."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str | None:
        return self._environment.get(name, "").strip() or None

    def token(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not _TOKEN.fullmatch(value):
            raise LimitError(f"{name}={value[:100]!r}: at most 256 visible ASCII characters, as in an ARN, expected")
        return value

    def number(self, name: str, low: int, high: int) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value) or not low <= int(value) <= high:
            raise LimitError(f"{name}={value[:100]!r}: a whole number from {low} to {high} expected")
        return int(value)

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise LimitError(f"{name}={value[:100]!r}: one of {', '.join(allowed)} expected")
        return value

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value is not None and value.lower() not in ("true", "false"):
            raise LimitError(f"{name}={value[:100]!r}: true or false expected")
        return value is not None and value.lower() == "true"

    def ports(self, name: str) -> tuple[int, int] | None:
        value = self.text(name)
        if value is None:
            return None
        found = _PORT_RANGE.fullmatch(value)
        first, last = (int(found[1]), int(found[2])) if found else (0, 0)
        if not _PORTS[0] <= first <= last <= _PORTS[1]:
            raise LimitError(
                f"{name}={value[:100]!r}: two ports from {_PORTS[0]} to {_PORTS[1]} as in 9000-9099 expected"
            )
        return first, last
