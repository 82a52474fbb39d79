"""Ctrl-C and SIGTERM: the first one unwinds the command, later ones wait until everything has been put away."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_CODE: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A terminal and `make` both pass one Ctrl-C on: what comes this soon after the first one is the same wish.
_SAME_WISH_SECONDS: Final = 1.0


class Interrupted(BaseException):
    """The person (or the system) asked to stop. No Exception: nothing on the way out may take it for an error."""


class _State:
    """What the signal handler knows. Signals belong to the process, and so does this."""

    def __init__(self) -> None:
        self.shields = 0
        self.pending = False
        self.raised_at: float | None = None
        self.unwinding = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise Interrupted unless something is being put away right now."""
        if self.unwinding:
            return
        if self.shields:
            self.pending = True
            return
        now = time.monotonic()
        if self.raised_at is not None and now - self.raised_at < _SAME_WISH_SECONDS:
            return
        self.raised_at = now
        raise Interrupted


_state = _State()


@contextmanager
def caught() -> Iterator[None]:
    """Turn the stop signals into Interrupted within the block; restores the former handlers, unless it was stopped.

    Then signals are ignored from there on: the same wish, passed on twice, must not cut short the way out.
    """
    global _state
    _state = _State()
    former = {number: signal.signal(number, _state.handle) for number in _SIGNALS}
    try:
        yield
    except Interrupted:
        _state.unwinding = True
        former = dict.fromkeys(_SIGNALS, signal.SIG_IGN)
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Finish the block even when asked to stop meanwhile; the wish is granted at its end.

    For what must not be left half done: starting a process and noting it, ending one, renaming a file into place.
    """
    state = _state
    state.shields += 1
    if state.raised_at is not None:
        state.unwinding = True
    try:
        yield
    finally:
        state.shields -= 1
        if state.pending and not state.shields and not state.unwinding:
            state.pending = False
            state.raised_at = time.monotonic()
            raise Interrupted
