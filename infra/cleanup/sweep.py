"""Deleting everything of a kind, however long its present change takes, and naming what could not be deleted."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

_logger: Final = logging.getLogger("pedigree")
# Of the function's time, what is kept for the answer.
_RESERVE_SECONDS: Final = 45.0
# What a service says of something that is changing just now, is gone meanwhile, or is asked for too fast; everything
# else, a missing permission above all, does not pass.
_PASSING: Final = frozenset(
    {
        "ConcurrentUpdateException",
        "ConflictException",
        "ObjectNotFoundException",
        "OperationAbortedException",
        "ResourceInUse",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "ThrottlingException",
        "TooManyRequestsException",
        "ValidationException",
    }
)


class LeftBehindError(Exception):
    """Something could not be deleted; the message names all that is left."""


@dataclass(frozen=True)
class Kind:
    """One kind of things that executions make.

    ``find`` returns the names of all that are there, each with the status that keeps it from being deleted at once, or
    with nothing; ``delete`` asks for one to be deleted.
    """

    word: str
    find: Callable[[], Mapping[str, str]]
    delete: Callable[[str], Any]


@dataclass(frozen=True)
class Clock:
    """How long this may take, and how often to look."""

    ends: float  # on time.monotonic()'s clock
    pause_seconds: float

    @classmethod
    def of(cls, context: Any, pause_seconds: float) -> "Clock":
        """Return the clock of a function's invocation."""
        seconds: float = context.get_remaining_time_in_millis() / 1000
        return cls(time.monotonic() + seconds - _RESERVE_SECONDS, pause_seconds)

    def pause(self) -> bool:
        """Wait a moment, or return False because the time is over."""
        if time.monotonic() + self.pause_seconds > self.ends:
            return False
        time.sleep(self.pause_seconds)
        return True


def sweep(kinds: Sequence[Kind], clock: Clock) -> None:
    """Delete everything of each kind, one kind after the other.

    Raises:
        LeftBehindError: something is still there when the time is over, or must not be deleted.
    """
    for kind in kinds:
        try:
            reason = _delete_all(kind, clock)
        except ClientError as error:
            reason = str(error)
        if reason:
            left = "; ".join(_left(kinds))
            raise LeftBehindError(f"{reason}. Left behind: {left or 'nothing'}. Delete the stack again.")


def _delete_all(kind: Kind, clock: Clock) -> str:
    """Return why something of a kind is still there; nothing if all of it is gone."""
    refusals: dict[str, str] = {}
    while found := kind.find():
        for name in [name for name, busy in found.items() if not busy]:
            _logger.info("deleting %s %s", kind.word, name)
            try:
                kind.delete(name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _PASSING:
                    raise
                refusals[name] = str(error)
        found = kind.find()
        if found and not clock.pause():
            name, busy = next(iter(found.items()))
            return f"the time was over while the {kind.word} {name} was {busy or refusals.get(name, 'being deleted')}"
    return ""


def _left(kinds: Iterable[Kind]) -> Iterable[str]:
    for kind in kinds:
        try:
            names = sorted(kind.find())
        except ClientError as error:
            yield f"perhaps any {kind.word} ({error})"
            continue
        if names:
            yield f"{kind.word} {', '.join(names)}"
