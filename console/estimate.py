"""How long it will take: from this execution's own pace, and from how long the same took last time."""

from collections.abc import Mapping

from console.progress import Progress, StepProgress, StepStatus, Training
from contract.names import Step


def step_left(progress: Progress) -> float | None:
    """Return the seconds that the running step will still take by its own pace, or None before it shows one."""
    running = progress.running
    if running is None:
        return None
    if running.step is Step.TUNE:
        over = sum(trial.is_over for trial in progress.trials)
        planned = progress.trials_planned or 0
        return running.seconds / over * max(0, planned - over) if over and planned else None
    if running.step is Step.TRAIN and progress.training is not None:
        return _training_left(progress.training, progress)
    return None


def _training_left(training: Training, progress: Progress) -> float | None:
    """Judge by the fine-tuning's pace; its first epoch also pays for loading, so it does not count alone."""
    epochs = training.fine_tuned
    if training.planned is None or len(epochs) < 2:
        return None
    pace = (epochs[-1].at - epochs[0].at).total_seconds() / (epochs[-1].number - epochs[0].number)
    since_last = (progress.now - epochs[-1].at).total_seconds()
    return max(0.0, pace * (training.planned - epochs[-1].number) - since_last)


def time_left(progress: Progress, former: Mapping[str, float]) -> float | None:
    """Return the seconds until the end, or None where a step's duration is anyone's guess.

    Args:
        progress: the execution now.
        former: step -> seconds that it took in a run with the same data and options.
    """
    if progress.is_over:
        return 0.0
    total = 0.0
    for step in progress.steps:
        left = _left(step, progress, former)
        if left is None:
            return None
        total += left
    return total


def _left(step: StepProgress, progress: Progress, former: Mapping[str, float]) -> float | None:
    if step.status in (StepStatus.DONE, StepStatus.REUSED):
        return 0.0
    pace = step_left(progress) if step.status is StepStatus.RUNNING else None
    if pace is not None:
        return pace
    return max(0.0, former[step.step] - step.seconds) if step.step in former else None
