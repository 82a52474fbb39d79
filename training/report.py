"""report.html: one self-contained page about one training, for people."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from training.calibration import Bin
from training.files import write_text
from training.history import Epoch
from training.learning_curve import Verdict
from training.report_charts import learning_curve, reliability_chart, trials_by

_MOST_REMARKS: Final = 200
_MOST_PAIRS: Final = 10
_LARGEST_MATRIX: Final = 20
_UNKNOWN: Final = {
    "source": "an unknown source",
    "fingerprint": "not known",
    "counts": {},
    "class_folders": [],
    "photos_left_out": [],
    "photos_converted": [],
}


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
        manifest: manifest.json as prepare.py left it, read with ``json``; empty where the set came without one.
        trials: of the tuning, as tuning.json lists them: name, status, objective (or None), hyperparameters.
        confusion: counts of the test photos, a row per true class, a column per predicted class; empty: not shown.
        calibration: of metrics.json; empty: not shown.
        reliability: the bins of the test photos' probabilities, before the temperature was applied and after it.
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
    calibration: Mapping[str, Any] = field(default_factory=dict)
    reliability: tuple[Sequence[Bin], Sequence[Bin]] = ((), ())
    versions: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    created: str = ""


def write_report(path: Path, data: ReportData) -> None:
    """Write the page to ``path``; it appears there complete or not at all."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"percent": _percent, "number": _number, "short": _short}
    template = page.from_string(Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8"))
    write_text(path, template.render(_view(data)))


def _view(data: ReportData) -> dict[str, Any]:
    """Return what the template shows, with everything that takes thought thought already."""
    trials = _ranked(data.trials)
    scored = [trial for trial in trials if trial["objective"] is not None]
    # The template takes the charts as they are: matplotlib escapes the few names that they show.
    curves = [(what, learning_curve(data.history, what)) for what in ("loss", "accuracy") if data.history]
    manifest = {**_UNKNOWN, **data.manifest}
    counts = manifest["counts"]
    return {
        "data": data,
        "manifest": manifest,
        "known": bool(data.manifest),
        "photos": _number(sum(counts.values()) if counts else None),
        "of": {split: _number(counts[split]) if split in counts else "the" for split in ("valid", "test")},
        "curves": curves,
        "trials": trials,
        "trial_options": _options(trials),
        "trial_charts": [
            (name, trials_by(name, scored, scored[0]["name"])) for name in _options(scored) if _numeric(name, scored)
        ],
        "classes": _classes(data, manifest["class_folders"]),
        "pairs": _confused_pairs(data),
        "matrix": _matrix(data),
        "reliability_chart": reliability_chart(*data.reliability) if data.calibration else "",
        "reliability": _reliability(data),
        "remarks": [
            ("left out", "Left out", manifest["photos_left_out"]),
            ("converted", "Converted and used", manifest["photos_converted"]),
        ],
        "most_remarks": _MOST_REMARKS,
    }


def _ranked(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials, best first, those without an objective last."""

    def rank(trial: Mapping[str, Any]) -> float:
        return -math.inf if trial["objective"] is None else float(trial["objective"])

    usable = [{**t, "objective": t["objective"] if _finite(t["objective"]) else None} for t in trials]
    return sorted(usable, key=rank, reverse=True)


def _options(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial["hyperparameters"]))


def _numeric(name: str, trials: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return all(math.isfinite(float(trial["hyperparameters"][name])) for trial in trials)
    except (KeyError, ValueError):
        return False


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(float(value))


def _classes(data: ReportData, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per class: label, counts, the share of all photos of the largest class, test accuracy if known."""
    largest = max((sum(row["counts"].values()) for row in rows), default=1)
    by_label = {label: index for index, label in enumerate(data.labels)}
    result = []
    for row in rows:
        index = by_label.get(row["label"])
        found: Sequence[int] = data.confusion[index] if data.confusion and index is not None else ()
        total = sum(found)
        right = found[index] / total if index is not None and total else None
        shares = {split: count / max(largest, 1) * 100 for split, count in row["counts"].items()}
        result.append({"label": row["label"], "counts": row["counts"], "shares": shares, "right": right})
    return result


def _confused_pairs(data: ReportData) -> list[dict[str, Any]]:
    """Return the most frequent mistakes on the test set, most frequent first."""
    pairs: list[dict[str, Any]] = [
        {"true": data.labels[i], "predicted": data.labels[j], "count": count, "of": sum(row)}
        for i, row in enumerate(data.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair["count"], pair["true"], pair["predicted"]))[:_MOST_PAIRS]


def _matrix(data: ReportData) -> list[list[dict[str, Any]]]:
    """Return the confusion matrix with the share of its row for each cell; empty where it would not fit a page."""
    if not 0 < len(data.confusion) <= _LARGEST_MATRIX:
        return []
    return [[{"count": count, "share": count / max(sum(row), 1)} for count in row] for row in data.confusion]


def _reliability(data: ReportData) -> list[dict[str, Any]]:
    """Return a row per range of probabilities: the bin before the temperature was applied and the one after it."""
    before, after = ({each.low: each for each in bins} for bins in data.reliability)
    rows = []
    for low in sorted(before.keys() | after.keys()):
        pair = before.get(low), after.get(low)
        rows.append({"low": low, "high": next(each.high for each in pair if each), "bins": pair})
    return rows


def _short(value: str) -> str:
    """Return a hyperparameter's value with at most four significant digits; what is no number stays as it is."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def _percent(value: float | None) -> str:
    return "not known" if value is None or not math.isfinite(value) else f"{value:.1%}"


def _number(value: float | int | str | None) -> str:
    """Return a number as people write it; anything else as it is."""
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "not a number"
    return f"{value:,}" if isinstance(value, int) else value
