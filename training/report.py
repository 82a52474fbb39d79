"""report.html: one self-contained page about one training, for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.history import Epoch
from training.learning_curve import Verdict


@dataclass(frozen=True)
class ReportData:
    """What the page says; plain values, so that a report can be written again from the files of a training.

    Attributes:
        backbone: id of the backbone, for example ``resnet50``.
        labels: readable class names, in the order of the model's outputs.
        history: the epochs of the final training, in their order.
        verdict: of ``learning_curve.judge``.
        valid_accuracy: 0 to 1, of the model that was kept.
        test_accuracy: 0 to 1; None where no test photos were looked at.
        hyperparameters: everything that is needed to train the same model again, by name.
        seed: of the training.
        manifest: manifest.json as prepare.py left it, read with ``json``.
        trials: of the tuning, as tuning.json lists them: name, status, objective (or None), hyperparameters.
        confusion: counts of the test photos, a row per true class, a column per predicted class; empty: not shown.
        versions: of the packages that made the model, by name.
        notices: sentences that the reader must know, for example that a smaller backbone had to be used.
        created: date and time, as it is to be shown; empty: not shown.
    """

    backbone: str
    labels: tuple[str, ...]
    history: tuple[Epoch, ...]
    verdict: Verdict
    valid_accuracy: float
    valid_loss: float
    test_accuracy: float | None
    test_loss: float | None
    hyperparameters: Mapping[str, float | int | str]
    seed: int
    manifest: Mapping[str, Any]
    trials: Sequence[Mapping[str, Any]] = ()
    confusion: Sequence[Sequence[int]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    created: str = ""


def write_report(path: Path, data: ReportData) -> None:
    """Write the page to ``path``; it appears there complete or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(f"<!doctype html><title>Pedigree</title><p>{data.backbone}", encoding="utf-8")
    temporary.replace(path)
