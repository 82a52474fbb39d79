"""Progress without a terminal: one line per event, nothing redrawn."""

from collections.abc import Hashable, Mapping

from console.estimate import time_left
from console.progress import Progress, StepStatus
from console.screen import Screen, duration
from console.words import STATUS_WORDS, epoch_line, is_complete, trial_line
from contract.names import Step


class PlainDisplay:
    """Says each thing once, when it happens."""

    def __init__(self, screen: Screen, former: Mapping[str, float]) -> None:
        self._screen = screen
        self._former = former
        self._said: set[Hashable] = set()

    def update(self, progress: Progress) -> None:
        """Print what is new, in the order of the steps."""
        for step in progress.steps:
            if step.status is StepStatus.WAITING:
                continue
            if step.status is not StepStatus.REUSED:
                self._say(progress, (step.step, StepStatus.RUNNING), f"{step.step}: {STATUS_WORDS[StepStatus.RUNNING]}")
            if step.step is Step.TUNE:
                self._trials(progress)
            if step.step is Step.TRAIN:
                self._epochs(progress)
            if step.status is not StepStatus.RUNNING:
                text = f"{step.step}: {STATUS_WORDS[step.status]} ({duration(step.seconds)})"
                self._say(progress, (step.step, step.status), text)

    def tick(self) -> None:
        """Keep quiet."""

    def _trials(self, progress: Progress) -> None:
        for trial in progress.trials:
            if trial.is_over:
                self._say(progress, trial.name, f"Tune: {trial_line(trial, progress.trials_planned)}")

    def _epochs(self, progress: Progress) -> None:
        training = progress.training
        if training is None:
            return
        left = time_left(progress, self._former)
        rest = f"; about {duration(left)} left" if left else ""
        for epoch in training.epochs:
            if is_complete(epoch):
                is_last = epoch is training.epochs[-1]
                text = f"Train: {epoch_line(epoch, training)}{rest if is_last else ''}"
                self._say(progress, (training.job_name, epoch.number), text)

    def _say(self, progress: Progress, what: Hashable, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._screen.say(f"[{duration(progress.seconds)}] {text}")
