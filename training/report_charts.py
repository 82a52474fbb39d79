"""The report's charts: SVG that takes its colours from the page, so that they can be read in light and dark."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from training.calibration import Bin
from training.history import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib knows no CSS variables: it draws in these colours, which are replaced afterwards.
_INK: Final = "#0a0001"
_GRID: Final = "#0a0002"
_TRAIN: Final = "#0a0003"
_VALID: Final = "#0a0004"
_ACCENT: Final = "#0a0005"
_VARIABLES: Final = {_INK: "ink", _GRID: "grid", _TRAIN: "train", _VALID: "valid", _ACCENT: "accent"}
_SIZE: Final = (5.0, 3.1)  # inches of 72 pixels; the page scales them
_FONT_SIZE: Final = 10.5
_LOGARITHMIC: Final = ("lr", "learning-rate", "backbone-lr", "weight-decay")


def learning_curve(history: Sequence[Epoch], what: str) -> str:
    """Return the curves of training and validation ``what``, which is ``loss`` or ``accuracy``, over the epochs."""
    import matplotlib as mpl

    with mpl.rc_context(_style(what)):
        figure, axes = _figure(_SIZE)
        epochs = [epoch.epoch for epoch in history]
        for part, colour, dashes, marker in (("train", _TRAIN, "-", "o"), ("valid", _VALID, (0, (5, 2)), "s")):
            values = [getattr(epoch, f"{part}_{what}") for epoch in history]
            shown = [value if math.isfinite(value) else math.nan for value in values]
            label = {"train": "training", "valid": "validation"}[part]
            axes.plot(epochs, shown, color=colour, linestyle=dashes, marker=marker, markersize=4, label=label)
        _mark_fine_tuning(axes, history)
        axes.set_xlabel("epoch")
        axes.set_xticks(_whole(epochs))
        if what == "accuracy":
            axes.yaxis.set_major_formatter(_share)
        else:
            axes.set_ylim(bottom=0)
        axes.legend(frameon=False, loc="best")
        return _svg(figure, what)


def trials_by(name: str, trials: Sequence[Mapping[str, Any]], best: str) -> str:
    """Return the trials' objective over the hyperparameter ``name``; ``best`` is the best trial's name."""
    import matplotlib as mpl
    from matplotlib.ticker import LogLocator

    with mpl.rc_context(_style(name)):
        figure, axes = _figure((3.4, 2.6))
        for trial in trials:
            first = trial["name"] == best
            axes.plot(
                [float(trial["hyperparameters"][name])],
                [float(trial["objective"])],
                linestyle="none",
                marker="*" if first else "o",
                markersize=13 if first else 6,
                color=_ACCENT if first else _TRAIN,
                alpha=1.0 if first else 0.75,
                zorder=3 if first else 2,
            )
        values = sorted({float(trial["hyperparameters"][name]) for trial in trials})
        if name in _LOGARITHMIC and values[0] > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
        elif all(value.is_integer() for value in values):
            if values[0] > 0 and values[-1] / values[0] > 4:
                axes.set_xscale("log", base=2)
            axes.set_xticks(values, [f"{value:,.0f}" for value in values])
            axes.minorticks_off()
        axes.margins(0.12)
        axes.set_xlabel(name.replace("$", r"\$"))
        axes.yaxis.set_major_formatter(_share)
        return _svg(figure, f"trials-{name}")


def reliability_chart(before: Sequence[Bin], after: Sequence[Bin]) -> str:
    """Return how often photos are named right over how probable the answer was held, and where both are the same."""
    import matplotlib as mpl

    with mpl.rc_context(_style("reliability")):
        figure, axes = _figure(_SIZE)
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=(0, (1, 2)), label="right as often as said")
        for bins, colour, dashes, marker, label in (
            (before, _TRAIN, (0, (5, 2)), "o", "before"),
            (after, _VALID, "-", "s", "as served"),
        ):
            means = [each.confidence for each in bins], [each.accuracy for each in bins]
            axes.plot(*means, color=colour, linestyle=dashes, marker=marker, markersize=5, label=label)
        axes.set_xlabel("probability of the best label")
        axes.set_ylabel("named right")
        axes.xaxis.set_major_formatter(_share)
        axes.yaxis.set_major_formatter(_share)
        axes.legend(frameon=False, loc="best")
        return _svg(figure, "reliability")


def _style(salt: str) -> Any:  # matplotlib types the keys as literals
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,  # the same data give the same file
        "font.size": _FONT_SIZE,
        "text.color": _INK,
        "axes.edgecolor": _GRID,
        "axes.labelcolor": _INK,
        "xtick.color": _GRID,
        "ytick.color": _GRID,
        "xtick.labelcolor": _INK,
        "ytick.labelcolor": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _GRID,
        "grid.alpha": 0.5,
        "grid.linewidth": 0.6,
        "lines.linewidth": 2,
    }


def _figure(size: tuple[float, float]) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _whole(epochs: Sequence[int], most: int = 10) -> Sequence[int]:
    step = max(1, math.ceil(len(epochs) / most))
    return epochs[::step]


def _mark_fine_tuning(axes: "Axes", history: Sequence[Epoch]) -> None:
    """Set the epochs in which the backbone was trained too apart from those of the head alone."""
    tuned = [epoch.epoch for epoch in history if epoch.phase == "fine-tune"]
    if not tuned:
        return
    axes.axvspan(tuned[0] - 0.5, tuned[-1] + 0.5, color=_ACCENT, alpha=0.1, linewidth=0)
    axes.text(
        (tuned[0] + tuned[-1]) / 2, 1.02, "fine-tuning", transform=axes.get_xaxis_transform(), ha="center", fontsize=9
    )


def _svg(figure: "Figure", prefix: str) -> str:
    """Return the figure as an element for a page: no header, ids of its own, colours of the page, no fixed size."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )
    prefix = re.sub(r"\W", "-", prefix)
    text = re.sub(r'(\bid="|"#|url\(#)', rf"\1{prefix}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text.replace("<svg ", '<svg aria-hidden="true" ', 1)


def _share(value: float, _: float) -> str:
    """Return an axis label that tells neighbouring ticks apart however close they are."""
    return f"{value * 100:.4g}%"
