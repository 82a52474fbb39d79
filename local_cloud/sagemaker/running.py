"""The jobs that run now, a thread each."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from local_cloud.sagemaker.job_status import JobControl


class Running(NamedTuple):
    """One running job: how others end it, and what to wait for."""

    control: JobControl
    thread: threading.Thread


class RunningJobs:
    """Running jobs by name; each leaves by itself when it is done."""

    def __init__(self, what: str) -> None:
        """Nothing runs; ``what`` names the threads."""
        self._what = what
        self._jobs: dict[str, Running] = {}
        self._lock = threading.Lock()

    def start(self, name: str, control: JobControl, run: Callable[[], None]) -> None:
        """Run a job in a thread of its own."""
        thread = threading.Thread(target=self._run, args=(name, run), name=f"{self._what} {name}", daemon=True)
        with self._lock:
            self._jobs[name] = Running(control, thread)
            thread.start()

    def get(self, name: str) -> Running | None:
        """Return the running job of this name, or None."""
        with self._lock:
            return self._jobs.get(name)

    def all(self) -> list[Running]:
        """Return every job that runs now."""
        with self._lock:
            return list(self._jobs.values())

    def _run(self, name: str, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            with self._lock:
                # The name may have been deleted and used again in the meantime.
                if self._jobs[name].thread is threading.current_thread():
                    del self._jobs[name]
