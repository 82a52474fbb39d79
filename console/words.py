"""How steps, trials and epochs are put into words, the same on a terminal and in plain lines."""

from collections.abc import Mapping
from typing import Final

from console.progress import Epoch, StepStatus, Training, Trial
from console.screen import percent
from contract.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VALID_ACCURACY, VALID_LOSS

STATUS_WORDS: Final[Mapping[StepStatus, str]] = {
    StepStatus.WAITING: "",
    StepStatus.RUNNING: "started",
    StepStatus.DONE: "done",
    StepStatus.REUSED: "done before, reused",
    StepStatus.FAILED: "failed",
}
# Metric, heading, whether it is a share of 1.
EPOCH_COLUMNS: Final = (
    (TRAIN_LOSS.name, "train loss", False),
    (TRAIN_ACCURACY.name, "train accuracy", True),
    (VALID_LOSS.name, "validation loss", False),
    (VALID_ACCURACY.name, "validation accuracy", True),
)


def learning_rate(text: str) -> str:
    """Return a learning rate to three significant digits."""
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text


def hyperparameters(trial: Trial) -> list[str]:
    """Return lr, batch size and epochs as shown."""
    values = trial.hyperparameters
    return [learning_rate(values.get("lr", "")), values.get("batch-size", ""), values.get("epochs", "")]


def objective(trial: Trial) -> str:
    """Return a trial's validation accuracy, empty before it has one."""
    return "" if trial.objective is None else percent(trial.objective)


def trial_line(trial: Trial, planned: int | None) -> str:
    """Return one finished trial as a sentence."""
    number = f"trial {trial.number} of {planned}" if planned else f"trial {trial.number}"
    result = f"{objective(trial)} validation accuracy" if trial.objective is not None else trial.status.lower()
    early = ", stopped early" if trial.status == "Stopped" and trial.objective is not None else ""
    return f"{number}: {_phrase(*hyperparameters(trial))}: {result}{early}"


def best_line(values: Mapping[str, object]) -> str:
    """Return the best hyperparameters, keyed as in summary.json, as part of a sentence."""
    return _phrase(learning_rate(str(values.get("lr"))), str(values.get("batch_size")), str(values.get("epochs")))


def _phrase(lr: str, batch_size: str, epochs: str) -> str:
    return f"lr {lr}, batch size {batch_size}, {epochs} epochs"


def epoch_values(epoch: Epoch) -> list[str]:
    """Return the cells of one epoch, empty where it has not said a value yet."""
    return [_value(epoch.values.get(name), is_share) for name, _, is_share in EPOCH_COLUMNS]


def _value(value: float | None, is_share: bool) -> str:
    if value is None:
        return ""
    return percent(value) if is_share else f"{value:.4f}"


def phase(epoch: Epoch, training: Training) -> str:
    """Return what is trained in an epoch."""
    return "head" if epoch.number <= training.head_epochs else "fine-tuning"


def is_complete(epoch: Epoch) -> bool:
    """Whether an epoch has said everything that is shown of it."""
    return all(name in epoch.values for name, _, _ in EPOCH_COLUMNS)


def epoch_line(epoch: Epoch, training: Training) -> str:
    """Return one epoch as a sentence."""
    number = f"epoch {epoch.number} of {training.planned}" if training.planned else f"epoch {epoch.number}"
    if training.head_epochs:
        number += f" ({phase(epoch, training)})"
    values = zip(EPOCH_COLUMNS, epoch_values(epoch), strict=True)
    return f"{number}: " + ", ".join(f"{heading} {text}" for (_, heading, _), text in values if text)
