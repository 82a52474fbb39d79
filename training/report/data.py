"""What the report is made of: the files that a training left, read once, each of them allowed to be missing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from contract.names import TUNING_FILE, OutputFile, PreparedFile
from training.history import Epoch, load_history
from training.progress import say


@dataclass(frozen=True)
class Prediction:
    """What the model said of one test photo: (class, probability), most probable first."""

    photo: str
    true: int
    top: tuple[tuple[int, float], ...]

    @property
    def named(self) -> int:
        """The class that the model named."""
        return self.top[0][0]

    @property
    def probability(self) -> float:
        """How probable the model held it, 0 to 1."""
        return self.top[0][1]

    @property
    def is_right(self) -> bool:
        """Whether the named class is the true one."""
        return self.named == self.true

    @property
    def probability_of_truth(self) -> float | None:
        """How probable the model held the true class; None where it is not among those that are on record."""
        return dict(self.top).get(self.true)


@dataclass(frozen=True)
class ReportData:
    """A training as its files tell it.

    Attributes:
        metrics: metrics.json.
        history: the epochs of the final training, in their order.
        manifest: manifest.json of the photos; empty: unknown.
        tuning: tuning.json; empty: the model was trained without one.
        predictions: of the test photos; None: not on record.
        findings: findings.json; None: no rules were evaluated.
        profile: profile.json; None: the training was not profiled.
        photos: folder that the photos' paths start from; None: they are not at hand.
        created: date and time, as it is to be shown; empty: not shown.
    """

    metrics: Mapping[str, Any]
    history: tuple[Epoch, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    predictions: tuple[Prediction, ...] | None = None
    findings: Mapping[str, Any] | None = None
    profile: Mapping[str, Any] | None = None
    photos: Path | None = None
    created: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Readable class names, in the order of the model's outputs."""
        return tuple(str(row["label"]) for row in self.metrics["test_classes"])

    @cached_property
    def confusion(self) -> list[list[int]]:
        """How many test photos, by [true class][named class]."""
        place = {label: index for index, label in enumerate(self.labels)}
        rows = [[0] * len(place) for _ in place]
        for index, row in enumerate(self.metrics["test_classes"]):
            for label, count in row["taken_for"].items():
                rows[index][place[label]] = int(count)
            rows[index][index] = int(row["photos"]) - sum(rows[index])
        return rows


def collect(output: Path, prepared: Path | None, tuning: Path | None, created: str) -> ReportData:
    """Return what a training left in ``output``; what else cannot be read is missing, and said to be in the log.

    Raises:
        OSError, ValueError: metrics.json, without which there is nothing to report, cannot be read.
    """
    metrics = json.loads((output / OutputFile.METRICS).read_text(encoding="utf-8"))
    if not isinstance(metrics, dict):
        raise ValueError(f"{OutputFile.METRICS} holds no dict")
    return ReportData(
        metrics=metrics,
        history=_history(output / OutputFile.HISTORY),
        manifest=_read(prepared / PreparedFile.MANIFEST, dict) or {} if prepared else {},
        tuning=_read(tuning / TUNING_FILE, dict) or {} if tuning else {},
        predictions=_predictions(output / OutputFile.PREDICTIONS),
        findings=_read(output / OutputFile.FINDINGS, dict),
        profile=_read(output / OutputFile.PROFILE, dict),
        photos=prepared,
        created=created,
    )


def _read(path: Path, kind: type) -> Any:
    """Return what a JSON file holds, or None, with a line in the log, where it cannot be read or holds another kind."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        say(f"the report does without {path}: {error}")
        return None
    if not isinstance(content, kind):
        say(f"the report does without {path}: it holds no {kind.__name__}")
        return None
    return content


def _history(path: Path) -> tuple[Epoch, ...]:
    try:
        return tuple(load_history(path)) if path.is_file() else ()
    except (OSError, TypeError, ValueError) as error:
        say(f"the report does without {path}: {error!r}")
        return ()


def _predictions(path: Path) -> tuple[Prediction, ...] | None:
    rows: Sequence[Mapping[str, Any]] | None = _read(path, list)
    if rows is None:
        return None
    try:
        return tuple(
            Prediction(str(row["photo"]), int(row["true"]), tuple((int(i), float(p)) for i, p in row["top"]))
            for row in rows
        )
    except (KeyError, TypeError, ValueError) as error:
        say(f"the report does without {path}: {error!r}")
        return None
