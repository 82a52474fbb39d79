"""Log lines of jobs and endpoints on their way to CloudWatch Logs: collected, and handed over in batches."""

import threading
import time
from collections.abc import Callable
from typing import Final

Store = Callable[[str, str, list[tuple[int, str]], int], None]
# What one stream keeps. A chatty job must not fill the laptop's memory: streams live there, not on disk.
LINES_PER_STREAM: Final = 10_000
_FLUSH_SECONDS: Final = 0.5
_LONGEST_LINE: Final = 8_192


class LogCollector:
    """Takes lines from any thread without waiting, and stores them twice a second."""

    def __init__(self, store: Store, lines_per_stream: int = LINES_PER_STREAM) -> None:
        """Collect for ``store``: called with group, stream, (epoch milliseconds, text) pairs and how many to keep."""
        self._store = store
        self._keep = lines_per_stream
        self._lock = threading.Lock()
        self._storing = threading.Lock()  # one batch after the other, or a stream's lines would be out of order
        self._pending: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-collector", daemon=True)
        self._thread.start()

    def stream(self, group: str, name: str) -> "Stream":
        """Return the writing end of one log stream."""
        return Stream(self, group, name)

    def add(self, group: str, stream: str, line: str) -> None:
        """Keep one line for the next batch."""
        if len(line) > _LONGEST_LINE:
            line = line[:_LONGEST_LINE] + " [cut]"
        with self._lock:
            lines = self._pending.setdefault((group, stream), [])
            lines.append((int(time.time() * 1000), line))
            if len(lines) > 2 * self._keep:
                del lines[: -self._keep]

    def flush(self) -> None:
        """Store what has come in so far; a batch that is being stored just now is waited for."""
        with self._storing:
            with self._lock:
                batch, self._pending = self._pending, {}
            for (group, stream), lines in batch.items():
                self._store(group, stream, lines[-self._keep :], self._keep)

    def close(self) -> None:
        """Store the rest and end."""
        self._ended.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._ended.wait(_FLUSH_SECONDS):
            self.flush()


class Stream:
    """One log stream of a ``LogCollector``."""

    def __init__(self, collector: LogCollector, group: str, name: str) -> None:
        """Write into stream ``name`` of ``group``."""
        self._collector = collector
        self._group = group
        self._name = name
        self._lock = threading.Lock()
        self._open = True

    def write(self, line: str) -> None:
        """Add one line, unless the stream is closed."""
        with self._lock:
            if self._open:
                self._collector.add(self._group, self._name, line)

    def close(self) -> None:
        """Store what was written, and lose what comes later.

        Whoever is done with a log group may delete it then: no line makes it anew.
        """
        with self._lock:
            self._open = False
        self._collector.flush()
