"""Work spread over the cores by processes that never outlive the one that asked for it."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from training.errors import PhotosError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Starting the processes costs about a second: below this many items one process is faster.
_WORTH_IT: Final = 32
_CHUNK: Final = 8
_PROGRESS_SECONDS: Final = 3.0


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    what: str,
    say: Callable[[str], None],
    processes: int | None = None,
) -> list[Result]:
    """Return ``work`` of every item, in order, and say every few seconds how far it is.

    Args:
        work: a function at module level.
        items: what to work on.
        what: the items' name in the progress lines, for example "photos looked at".
        say: prints a line.
        processes: how many; by default one per core.

    Raises:
        PhotosError: a process was killed.
    """
    processes = cores() if processes is None else processes
    progress = _Progress(len(items), what, say)
    if processes == 1 or len(items) < _WORTH_IT:
        return [progress.passed(work(item)) for item in items]
    # Spawned, not forked: a fork of a process with threads (boto3's) may deadlock, and macOS forbids it.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        return [progress.passed(result) for result in pool.map(work, items, chunksize=_CHUNK)]
    except BrokenProcessPool as error:
        raise PhotosError(
            "a worker process was killed, most likely for lack of memory: use a machine with more of it"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end at once where the parent is gone, even by SIGKILL."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Progress:
    """Counts items and says how far it is, every few seconds."""

    def __init__(self, total: int, what: str, say: Callable[[str], None]) -> None:
        self._total, self._what, self._say = total, what, say
        self._done = 0
        self._first = self._said = time.monotonic()

    def passed(self, result: Result) -> Result:
        """Count one item and return its result."""
        self._done += 1
        now = time.monotonic()
        if self._done == 1:
            self._first = now  # the rate leaves out the time that the processes took to start
        elif min(now - self._said, now - self._first) >= _PROGRESS_SECONDS and self._done < self._total:
            self._said = now
            rate = (self._done - 1) / max(now - self._first, 1e-6)
            left = (self._total - self._done) / rate
            self._say(f"{self._done:,} of {self._total:,} {self._what}, {rate:,.0f} a second, about {left:,.0f} s left")
        return result
