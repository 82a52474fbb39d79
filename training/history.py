"""The training history: one row per epoch, as history.json, the report and the verdict read it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from training.files import write_text

Phase = Literal["probe", "fine-tune"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set.

    ``epoch`` counts from 1 across both phases: the probe's epochs first, then the fine-tuning's.
    Losses are means per photo (cross-entropy, nats); accuracies are fractions from 0 to 1.
    """

    epoch: int
    phase: Phase
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float


def save_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write history.json: a list with one object per epoch."""
    write_text(path, json.dumps([asdict(epoch) for epoch in history], indent=1))


def load_history(path: Path) -> list[Epoch]:
    """Read history.json."""
    return [Epoch(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
