"""How a training job's record changes while it runs."""

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from local_cloud.sagemaker.store import Kind, Record, Store
from local_cloud.sagemaker.wire import now

MAX_FAILURE_REASON = 1024
TERMINAL = frozenset({"Completed", "Failed", "Stopped"})


class Ending(StrEnum):
    """Why a job is ended from outside."""

    STOPPED = "Stopped"
    MAX_RUNTIME = "MaxRuntimeExceeded"
    INTERRUPTED = "Interrupted"
    SHUTDOWN = "Shutdown"


class JobControl:
    """How others end a running job."""

    def __init__(self) -> None:
        """Nobody wants it to end."""
        self._lock = threading.Lock()
        self._ending: Ending | None = None

    @property
    def ending(self) -> Ending | None:
        """Why it is to end, or None."""
        return self._ending

    def end(self, ending: Ending) -> None:
        """Ask for the end; the first reason counts, but whoever stops a job for good outweighs an interruption."""
        with self._lock:
            if self._ending in (None, Ending.INTERRUPTED):
                self._ending = ending

    def resume(self) -> None:
        """Forget an interruption: the next attempt begins."""
        with self._lock:
            if self._ending is Ending.INTERRUPTED:
                self._ending = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: str
    secondary: str
    message: str
    failure: str = ""


def failed(reason: str) -> Outcome:
    """Return the outcome of a job that failed."""
    return Outcome("Failed", "Failed", "Training job failed", reason[:MAX_FAILURE_REASON])


class JobStatus:
    """Writes one training job's record."""

    def __init__(self, store: Store, name: str) -> None:
        """Write to the record ``name``, which exists."""
        self._store = store
        self._name = name

    def record(self) -> Record:
        """Return a copy of the record."""
        record = self._store.get(Kind.TRAINING_JOB, self._name)
        assert record is not None
        return record

    def show(self, **members: Any) -> None:
        """Set what Describe answers."""
        with self._store.edit(Kind.TRAINING_JOB, self._name) as record:
            record.shown |= {**members, "LastModifiedTime": now()}

    def keep(self, **members: Any) -> None:
        """Set what only the service knows."""
        with self._store.edit(Kind.TRAINING_JOB, self._name) as record:
            record.private |= members

    def enter(self, secondary: str, message: str) -> None:
        """Begin a stage; a job that is being stopped stays so."""
        with self._store.edit(Kind.TRAINING_JOB, self._name) as record:
            if record.shown["TrainingJobStatus"] == "InProgress":
                enter_stage(record.shown, secondary, message)

    def finish(self, outcome: Outcome) -> None:
        """Write the end."""
        with self._store.edit(Kind.TRAINING_JOB, self._name) as record:
            shown = record.shown
            enter_stage(shown, outcome.secondary, outcome.message)
            shown["SecondaryStatusTransitions"][-1]["EndTime"] = shown["LastModifiedTime"]
            shown["TrainingJobStatus"] = outcome.status
            shown["TrainingEndTime"] = shown["LastModifiedTime"]
            if outcome.failure:
                shown["FailureReason"] = outcome.failure
            if "TrainingStartTime" in shown:
                seconds = max(1, round((shown["TrainingEndTime"] - shown["TrainingStartTime"]).total_seconds()))
                shown |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
            record.private.pop("process", None)


def enter_stage(shown: dict[str, Any], secondary: str, message: str) -> None:
    """Add a secondary status and the time at which the one before it ended."""
    moment = now()
    transitions: list[dict[str, Any]] = shown.setdefault("SecondaryStatusTransitions", [])
    if transitions and transitions[-1]["Status"] == secondary:
        transitions[-1]["StatusMessage"] = message
    else:
        if transitions:
            transitions[-1]["EndTime"] = moment
        transitions.append({"Status": secondary, "StartTime": moment, "StatusMessage": message})
    shown |= {"SecondaryStatus": secondary, "LastModifiedTime": moment}
