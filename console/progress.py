"""How far an execution is: what the console shows, free of where it was read and of how it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from contract.metrics import Reading
from contract.names import Step


class StepStatus(StrEnum):
    """Where one step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"


@dataclass(frozen=True)
class StepProgress:
    """One step; ``seconds`` is the time spent in its states so far."""

    step: Step
    status: StepStatus = StepStatus.WAITING
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Trial:
    """One trial of the tuning; ``objective`` is its validation accuracy once it has reported one."""

    number: int
    name: str
    status: str
    hyperparameters: Mapping[str, str]
    objective: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come from it."""
        return self.status in ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class Epoch:
    """One pass of the final training; ``values`` by metric name, ``at`` when it was logged."""

    number: int
    values: Mapping[str, float]
    at: datetime


@dataclass(frozen=True)
class Training:
    """The final training: some epochs of the head alone on cached features, then some of the whole network."""

    job_name: str
    status: str
    epochs: tuple[Epoch, ...] = ()
    head_epochs: int = 0
    planned: int | None = None

    @property
    def fine_tuned(self) -> tuple[Epoch, ...]:
        """The epochs of the whole network; they are far slower than the head's."""
        return tuple(epoch for epoch in self.epochs if epoch.number > self.head_epochs)


@dataclass(frozen=True)
class Progress:
    """One look at an execution."""

    status: str
    started: datetime
    now: datetime
    steps: tuple[StepProgress, ...]
    trials: tuple[Trial, ...] = ()
    trials_planned: int | None = None
    training: Training | None = None
    error: str = ""
    cause: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether the execution has ended, in whatever way."""
        return self.status not in ("RUNNING", "PENDING_REDRIVE")

    @property
    def seconds(self) -> float:
        """How long it has been going on, or went on."""
        return max(0.0, (self.now - self.started).total_seconds())

    @property
    def running(self) -> StepProgress | None:
        """The step that is running now."""
        return next((step for step in self.steps if step.status is StepStatus.RUNNING), None)

    @property
    def failed(self) -> StepProgress | None:
        """The step that failed."""
        return next((step for step in self.steps if step.status is StepStatus.FAILED), None)

    @property
    def best_trial(self) -> Trial | None:
        """The trial that was chosen, or, before that, the one with the best validation accuracy so far.

        Only who chooses knows every trial's loss, by which equal accuracies are told apart.
        """
        chosen = {name: str(value).strip('"') for name, value in self.output.get("hyperparameters", {}).items()}
        for trial in self.trials:
            if chosen and dict(trial.hyperparameters) == chosen:
                return trial
        known = [(trial.objective, trial) for trial in self.trials if trial.objective is not None]
        return max(known, key=lambda pair: pair[0])[1] if known else None


def epochs_of(readings: list[tuple[datetime, Reading]]) -> tuple[Epoch, ...]:
    """Return one row per epoch from log readings; what a resumed training repeats replaces what it said first."""
    values: dict[int, dict[str, float]] = {}
    last: dict[int, datetime] = {}
    for at, reading in readings:
        if reading.epoch is not None:
            values.setdefault(reading.epoch, {})[reading.name] = reading.value
            last[reading.epoch] = at
    return tuple(Epoch(number, values[number], last[number]) for number in sorted(values))
