"""Notices from a thread of its own that the job no longer gets on, and gets the main thread out of where it waits."""

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from contract.findings import Finding, Severity
from training.pulse import PULSE, Pulse

# AWS's threshold of StalledTrainingRule, in seconds.
STALLED_AFTER: Final = 1800.0

# How often it looks, and at least how often within the threshold. A look costs microseconds.
LONGEST_TICK: Final = 10.0
TICKS: Final = 20
# How long the main thread may take to leave where it waits: threads that hang with it may keep it for ever.
GRACE: Final = 30.0
FAILED: Final = 1


def stall_finding(seconds: float, where: str, step: int | None = None) -> Finding:
    """Return what StalledTraining found: how long without progress, and where the job waits, if that is known."""
    return Finding(
        "StalledTraining",
        Severity.ERROR,
        step,
        f"Nothing was finished for {seconds:,.0f} seconds{f'; the job waits at {where}' if where else ''}.",
        "The job costs money and gets no further: something that it waits for does not come.",
        "Look at the place named and at the end of the log: photos on a file system that hangs, a download without an "
        "end, another process of the same training that is gone. The next run continues from the last checkpoint.",
    )


class Watchdog:
    """Calls ``on_stall`` once if nothing is finished for ``threshold`` seconds while the context lasts.

    Only the time in which this process ran is counted: not that of a laptop asleep or of a process that was halted.

    Args:
        threshold: in seconds.
        on_stall: called by the watchdog's thread with the seconds without progress and the place in the code where the
            main thread waits. What it returns, if anything, is raised in the main thread; where that cannot be got
            out of there (a system call without an end, a pool that joins its hanging threads), or the process cannot
            end because another thread hangs, it is ended.
        pulse: what tells of progress.
        grace: how long the main thread may take to end, in seconds.
    """

    def __init__(
        self,
        threshold: float,
        on_stall: Callable[[float, str], Exception | None],
        pulse: Pulse = PULSE,
        grace: float = GRACE,
    ) -> None:
        self._threshold, self._on_stall, self._pulse, self._grace = threshold, on_stall, pulse, grace
        self._tick = min(LONGEST_TICK, threshold / TICKS)
        self._over = threading.Event()
        self._error: Exception | None = None
        self._previous: signal.Handlers | Callable[[int, FrameType | None], object] | int | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        """Start watching; in the main thread, for it takes over SIGUSR1."""
        self._previous = signal.signal(signal.SIGUSR1, self._leave)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching; after a stall the process still has to end within the grace time."""
        self._over.set()
        signal.signal(signal.SIGUSR1, self._previous)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if self._error is not None and not self._over.is_set():
            raise self._error

    def _watch(self) -> None:
        beats, idle = self._pulse.beats, 0.0
        while not self._over.wait(self._tick):
            idle = idle + self._tick if self._pulse.beats == beats else 0.0
            beats = self._pulse.beats
            if idle >= self._threshold:
                self._error = self._on_stall(idle, _where())
                if self._error is not None:
                    self._end(self._error)
                return

    def _end(self, error: Exception) -> None:
        """Get the main thread out, and end the process where it does not end by itself."""
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGUSR1)
        if self._over.wait(self._grace):
            while not _interpreter_ends():
                time.sleep(self._tick)
            time.sleep(self._grace)  # at its end the interpreter waits for all threads, which may hang for ever
        else:
            faulthandler.dump_traceback(all_threads=True)
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(FAILED)


def _interpreter_ends() -> bool:
    """Return whether the main thread has done its work and only waits for the others."""
    main = threading.main_thread()
    frame = sys._current_frames().get(main.ident) if main.ident is not None else None
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is None or frame.f_code.co_name == "_shutdown"  # threading's, where the program's own code was


def _where() -> str:
    """Return where the main thread is, from our own code on inwards."""
    main = threading.main_thread().ident
    frame = sys._current_frames().get(main) if main is not None else None
    if frame is None:
        return "no place: the main thread is gone"
    stack = traceback.extract_stack(frame)
    root = Path(__file__).parents[1]
    ours = [row for row in stack if Path(row.filename).is_relative_to(root)]
    places = [f"{Path(row.filename).relative_to(root)}:{row.lineno} ({row.name})" for row in ours[-1:]]
    if stack[-1] not in ours[-1:]:
        places.append(f"{Path(stack[-1].filename).name}:{stack[-1].lineno} ({stack[-1].name})")
    return ", ".join(places)
