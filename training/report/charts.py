"""Charts of the final training: how it learned, how far it can be believed, how well it knows each class."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from training.history import Epoch
from training.report import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Above it, an axis with a label per epoch is a grey bar.
_MOST_TICKS: Final = 10
_ROW_INCHES: Final = 0.27


def learning_curve(history: Sequence[Epoch], what: str) -> str:
    """Return the curves of training and validation ``what``, which is ``loss`` or ``accuracy``, over the epochs."""
    with svg.style(what):
        figure, axes = svg.figure(svg.HALF)
        epochs = [epoch.epoch for epoch in history]
        for part, colour, dashes, marker in (("train", svg.TRAIN, "-", "o"), ("valid", svg.VALID, (0, (5, 2)), "s")):
            values = [getattr(epoch, f"{part}_{what}") for epoch in history]
            shown = [value if math.isfinite(value) else math.nan for value in values]
            label = {"train": "training", "valid": "validation"}[part]
            axes.plot(epochs, shown, color=colour, linestyle=dashes, marker=marker, markersize=4, label=label)
        _mark_fine_tuning(axes, history)
        axes.set_xlabel("epoch")
        axes.set_xticks(epochs[:: max(1, math.ceil(len(epochs) / _MOST_TICKS))])
        if what == "accuracy":
            axes.yaxis.set_major_formatter(svg.share)
        else:
            axes.set_ylim(bottom=0)
        axes.legend(frameon=False, loc="best")
        return svg.svg(figure, what)


def _mark_fine_tuning(axes: "Axes", history: Sequence[Epoch]) -> None:
    """Set the epochs in which the backbone was trained too apart from those of the head alone."""
    tuned = [epoch.epoch for epoch in history if epoch.phase == "fine-tune"]
    if not tuned:
        return
    axes.axvspan(tuned[0] - 0.5, tuned[-1] + 0.5, color=svg.ACCENT, alpha=0.1, linewidth=0)
    axes.text(
        (tuned[0] + tuned[-1]) / 2, 1.02, "fine-tuning", transform=axes.get_xaxis_transform(), ha="center", fontsize=9
    )


def reliability_chart(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> str:
    """Return how often photos are named right over how probable the answer was held, and where both are the same."""
    with svg.style("reliability"):
        figure, axes = svg.figure(svg.HALF)
        axes.plot([0, 1], [0, 1], color=svg.INK, linewidth=1, linestyle=(0, (1, 2)), label="right as often as said")
        for bins, colour, dashes, marker, label in (
            (before, svg.TRAIN, (0, (5, 2)), "o", "before"),
            (after, svg.VALID, "-", "s", "as served"),
        ):
            means = [each["confidence"] for each in bins], [each["accuracy"] for each in bins]
            axes.plot(*means, color=colour, linestyle=dashes, marker=marker, markersize=5, label=label)
        axes.set_xlabel("probability of the best label")
        axes.set_ylabel("named right")
        axes.xaxis.set_major_formatter(svg.share)
        axes.yaxis.set_major_formatter(svg.share)
        axes.legend(frameon=False, loc="best")
        return svg.svg(figure, "reliability")


def class_chart(rows: Sequence[Mapping[str, Any]], overall: float) -> str:
    """Return each class's accuracy with its interval, the first row at the top, and a line at the ``overall`` one.

    Args:
        rows: label, accuracy, low, high, all but the label from 0 to 1.
        overall: accuracy over all photos.
    """
    with svg.style("classes"):
        figure, axes = svg.figure((svg.HALF[0] * 1.4, 0.9 + _ROW_INCHES * len(rows)))
        places = list(range(len(rows)))
        axes.axvline(overall, color=svg.ACCENT, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.text(overall, 1.01, "all classes", transform=axes.get_xaxis_transform(), ha="right", fontsize=9)
        lows, highs = [row["low"] for row in rows], [row["high"] for row in rows]
        axes.hlines(places, lows, highs, color=svg.TRAIN, linewidth=3, alpha=0.35)
        accuracies = [row["accuracy"] for row in rows]
        axes.plot(accuracies, places, linestyle="none", marker="o", markersize=6, color=svg.TRAIN, clip_on=False)
        axes.set_yticks(places, [shortened(row["label"]) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(svg.share)
        axes.grid(visible=False, axis="y")
        return svg.svg(figure, "classes")


def shortened(label: str, most: int = 26) -> str:
    """Return a class name that leaves room for the chart."""
    return label if len(label) <= most else label[: most - 1] + "…"
