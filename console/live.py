"""Progress on a terminal: steps, trials and epochs, redrawn in place."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from console.estimate import step_left, time_left
from console.progress import Progress, StepProgress, StepStatus, Training
from console.screen import Screen, duration
from console.words import EPOCH_COLUMNS, STATUS_WORDS, epoch_values, hyperparameters, objective, phase
from contract.names import Step

_MARKS: Final = {
    StepStatus.WAITING: (" ", "dim"),
    StepStatus.RUNNING: ("▶", "bold cyan"),
    StepStatus.DONE: ("✓", "green"),
    StepStatus.REUSED: ("✓", "green"),
    StepStatus.FAILED: ("✗", "bold red"),
}
# A terminal of 24 lines holds the steps and this much.
_TRIALS_SHOWN: Final = 8
_EPOCHS_SHOWN: Final = 8
_BAR_WIDTH: Final = 30


class LiveDisplay:
    """Owns the lower part of the terminal while an execution runs; a context manager."""

    def __init__(self, screen: Screen, former: Mapping[str, float]) -> None:
        self._former = former
        self._console = screen.out
        # No thread of its own: a Ctrl-C must not meet it half way through a frame.
        self._live = Live(console=screen.out, auto_refresh=False, transient=True)
        self._progress: Progress | None = None
        self._looked_at = 0.0

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen, with nothing shortened."""
        self._live.stop()
        if self._progress is not None:
            self._console.print(render(self._progress, self._former, is_final=True))

    def update(self, progress: Progress) -> None:
        """Draw a new state."""
        self._progress, self._looked_at = progress, time.monotonic()
        self._live.update(render(progress, self._former), refresh=True)

    def tick(self) -> None:
        """Draw the same state with its clocks gone on."""
        if self._progress is not None:
            gone_on = _later(self._progress, time.monotonic() - self._looked_at)
            self._live.update(render(gone_on, self._former), refresh=True)


def _later(progress: Progress, seconds: float) -> Progress:
    steps = tuple(
        replace(step, seconds=step.seconds + seconds) if step.status is StepStatus.RUNNING else step
        for step in progress.steps
    )
    return replace(progress, now=progress.now + timedelta(seconds=seconds), steps=steps)


def render(progress: Progress, former: Mapping[str, float], *, is_final: bool = False) -> RenderableType:
    """Return all that is known, drawn; while it goes on only what is of interest now."""
    parts: list[RenderableType] = [_steps(progress)]
    in_training = progress.training is not None
    if progress.trials and (is_final or not in_training):
        parts += [Text(), _trials(progress, is_final)]
    if progress.training is not None:
        parts += [Text(), _training(progress.training, progress, is_final)]
    if not progress.is_over:
        left = time_left(progress, former)
        clock = f"{duration(progress.seconds)} so far" + (f", about {duration(left)} left" if left else "")
        parts += [Text(), Text(clock, style="dim")]
    return Group(*parts)


def _steps(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(min_width=16)
    table.add_column(justify="right", min_width=6)
    table.add_column(overflow="fold")
    for step in progress.steps:
        mark, style = _MARKS[step.status]
        seconds = "" if step.status is StepStatus.WAITING else duration(step.seconds)
        table.add_row(Text(mark, style), Text(str(step.step), style), seconds, Text(_note(step, progress), "dim"))
    return table


def _note(step: StepProgress, progress: Progress) -> str:
    if step.step is Step.TUNE and progress.trials:
        over = sum(trial.is_over for trial in progress.trials)
        best = progress.best_trial
        found = f", best {objective(best)}" if best is not None else ""
        return f"{over} of {progress.trials_planned or len(progress.trials)} trials{found}"
    if step.step is Step.TRAIN and progress.training is not None and step.status is StepStatus.RUNNING:
        return progress.training.status
    if step.status in (StepStatus.REUSED, StepStatus.FAILED):
        return STATUS_WORDS[step.status]
    return step.detail


def _trials(progress: Progress, is_final: bool) -> Table:
    table = Table(title="Trials", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("#", "lr", "batch size", "epochs"):
        table.add_column(heading, justify="right")
    table.add_column("status")
    table.add_column("validation accuracy", justify="right")
    best = progress.best_trial
    for trial in progress.trials if is_final else progress.trials[-_TRIALS_SHOWN:]:
        style = "bold green" if best is not None and trial.name == best.name else ""
        table.add_row(str(trial.number), *hyperparameters(trial), trial.status, objective(trial), style=style)
    return table


def _training(training: Training, progress: Progress, is_final: bool) -> RenderableType:
    table = Table(title="Final training", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("epoch", justify="right")
    table.add_column("of")
    for _, heading, _ in EPOCH_COLUMNS:
        table.add_column(heading, justify="right")
    for epoch in training.epochs if is_final else training.epochs[-_EPOCHS_SHOWN:]:
        table.add_row(str(epoch.number), phase(epoch, training), *epoch_values(epoch))
    if is_final or not training.planned:
        return table
    done = training.epochs[-1].number if training.epochs else 0
    bar = Table.grid(padding=(0, 2))
    left = step_left(progress)
    words = f"epoch {done} of {training.planned}" + (f", about {duration(left)} left" if left else "")
    bar.add_row(ProgressBar(total=training.planned, completed=done, width=_BAR_WIDTH), words)
    return Group(table, bar)
