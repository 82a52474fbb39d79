"""The jobs that run now, a thread each."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from local_cloud.sagemaker.job_status import Ending, JobControl


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
        self._ended = False
        self._lock = threading.Lock()

    def start(self, name: str, control: JobControl, run: Callable[[], None]) -> None:
        """Run a job in a thread of its own; one that comes after ``end_all`` ends before it starts a process."""
        thread = threading.Thread(target=self._run, args=(name, run), name=f"{self._what} {name}", daemon=True)
        with self._lock:
            if self._ended:
                control.end(Ending.SHUTDOWN)
            self._jobs[name] = Running(control, thread)
            thread.start()

    def get(self, name: str) -> Running | None:
        """Return the running job of this name, or None."""
        with self._lock:
            return self._jobs.get(name)

    def end_all(self) -> list[threading.Thread]:
        """Have every job end because the service does, and return the threads to wait for."""
        with self._lock:
            self._ended = True
            running = list(self._jobs.values())
        for control, _ in running:
            control.end(Ending.SHUTDOWN)
        return [thread for _, thread in running]

    def _run(self, name: str, run: Callable[[], None]) -> None:
        try:
            run()
        finally:
            with self._lock:
                # The name may have been deleted and used again in the meantime.
                if self._jobs[name].thread is threading.current_thread():
                    del self._jobs[name]
