"""Progress as the displays and the summary see it."""

from dataclasses import replace
from typing import Any

from console.progress import Epoch, Progress, StepProgress, StepStatus, Training, Trial
from contract.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VALID_ACCURACY, VALID_LOSS
from contract.names import Step
from tests.console.events import START, at


def trial(number: int, status: str = "Completed", objective: float | None = 0.9) -> Trial:
    values = {"lr": "0.0123456", "batch-size": "64", "epochs": "5"}
    return Trial(number, f"trial-{number}", status, values, objective)


def epoch(number: int, seconds: float) -> Epoch:
    names = (TRAIN_LOSS.name, TRAIN_ACCURACY.name, VALID_LOSS.name, VALID_ACCURACY.name)
    return Epoch(number, dict(zip(names, (0.5, 0.8, 0.61234, 0.755), strict=True)), at(seconds))


def steps(**statuses: tuple[StepStatus, float]) -> tuple[StepProgress, ...]:
    """Return all steps, those named by their enum names with a status and seconds."""
    return tuple(StepProgress(step, *statuses.get(step.name, (StepStatus.WAITING, 0.0))) for step in Step)


def progress(seconds: float, **fields: Any) -> Progress:
    base = Progress(status="RUNNING", started=START, now=at(seconds), steps=steps())
    return replace(base, **fields)


DONE, RUNNING = StepStatus.DONE, StepStatus.RUNNING
PREPARING = progress(3, steps=steps(PREPARE=(RUNNING, 3)))
TUNING = progress(
    40,
    steps=steps(PREPARE=(DONE, 4), EXTRACT=(StepStatus.REUSED, 0), TUNE=(RUNNING, 20)),
    trials=(trial(1), trial(2, "Failed", None), trial(3, "InProgress", None)),
    trials_planned=4,
)
TRAINING = progress(
    80,
    steps=steps(PREPARE=(DONE, 4), EXTRACT=(StepStatus.REUSED, 0), TUNE=(DONE, 30), TRAIN=(RUNNING, 30)),
    trials=(trial(1), trial(2, "Completed", 0.95)),
    trials_planned=2,
    training=Training("training", "Training", (epoch(1, 60), epoch(2, 70)), 0, 5),
)
FAILED = progress(
    90,
    status="FAILED",
    steps=steps(PREPARE=(DONE, 4), EXTRACT=(StepStatus.FAILED, 86)),
    error="Pedigree.Extract features",
    cause="Extract features: killed by SIGKILL (signal 9)",
)
