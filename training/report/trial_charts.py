"""Charts of the tuning: every trial as a line, and what it came to by hyperparameter."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from training.report import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC: Final = ("lr", "learning-rate", "backbone-lr", "weight-decay")
# Values further apart than this are drawn by their ratio: 16, 64, 256, 1024.
_WIDE_RANGE: Final = 4
_MOST_TICKS: Final = 6


def trials_by(name: str, trials: Sequence[Mapping[str, Any]], best: str) -> str:
    """Return the trials' objective over the hyperparameter ``name``; ``best`` is the best trial's name."""
    from matplotlib.ticker import LogLocator

    with svg.style(f"by-{name}"):
        figure, axes = svg.figure(svg.SMALL)
        for trial in trials:
            first = trial["name"] == best
            axes.plot(
                [float(trial["hyperparameters"][name])],
                [float(trial["objective"])],
                linestyle="none",
                marker="*" if first else "o",
                markersize=13 if first else 6,
                color=svg.ACCENT if first else svg.TRAIN,
                alpha=1.0 if first else 0.75,
                zorder=3 if first else 2,
            )
        values = sorted({float(trial["hyperparameters"][name]) for trial in trials})
        if name in LOGARITHMIC and values[0] > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
        elif all(value.is_integer() for value in values):
            if values[0] > 0 and values[-1] / values[0] > _WIDE_RANGE:
                axes.set_xscale("log", base=2)
            axes.set_xticks(values, [f"{value:,.0f}" for value in values])
            axes.minorticks_off()
        axes.margins(0.12)
        axes.set_xlabel(name)
        axes.yaxis.set_major_formatter(svg.share)
        return svg.svg(figure, f"by-{name}")


def parallel_coordinates(names: Sequence[str], trials: Sequence[Mapping[str, Any]], best: str) -> str:
    """Return a line per trial through its hyperparameters to its objective; better trials are drawn stronger.

    Args:
        names: of the hyperparameters, all numbers that differ between trials.
        trials: those with an objective, best first.
        best: name of the best trial.
    """
    with svg.style("parallel"):
        figure, axes = svg.figure(svg.WIDE)
        columns = [[float(trial["hyperparameters"][name]) for trial in trials] for name in names]
        scales = [_Scale(name, column) for name, column in zip(names, columns, strict=True)]
        scores = _Scale("", [float(trial["objective"]) for trial in trials])
        for place, (name, scale) in enumerate([*zip(names, scales, strict=True), ("validation accuracy", scores)]):
            _axis(axes, place, name, scale, formatter=svg.share if scale is scores else _plain)
        for rank in reversed(range(len(trials))):
            trial, first = trials[rank], trials[rank]["name"] == best
            heights = [scale.at(column[rank]) for scale, column in zip(scales, columns, strict=True)]
            heights.append(scores.at(float(trial["objective"])))
            axes.plot(
                range(len(heights)),
                heights,
                color=svg.ACCENT if first else svg.TRAIN,
                alpha=1.0 if first else 0.75 - 0.55 * rank / len(trials),
                linewidth=3 if first else 1.6,
                linestyle="-" if first else (0, (5, 2)),
                marker="*" if first else "o",
                markersize=12 if first else 4,
                clip_on=False,
                zorder=4 if first else 3,
            )
        axes.set_xlim(-0.12, len(names) + 0.25)
        axes.set_ylim(-0.06, 1.1)
        axes.axis("off")
        return svg.svg(figure, "parallel")


class _Scale:
    """Where the values of one axis stand, 0 to 1; by their logarithm where they are far apart."""

    def __init__(self, name: str, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        wide = low > 0 and high / low > _WIDE_RANGE
        self._logarithmic = low > 0 and (name in LOGARITHMIC or wide)
        self._low, self._span = self._height(low), self._height(high) - self._height(low)
        distinct = sorted(set(values))
        self.ticks = distinct if len(distinct) <= _MOST_TICKS else [low, high]

    def _height(self, value: float) -> float:
        return math.log(value) if self._logarithmic else value

    def at(self, value: float) -> float:
        return (self._height(value) - self._low) / self._span if self._span else 0.5


def _axis(axes: "Axes", place: int, name: str, scale: _Scale, formatter: Any) -> None:
    axes.plot([place, place], [0, 1], color=svg.GRID, linewidth=1.2, zorder=1)
    axes.text(place, 1.09, name, ha="center", va="bottom", fontweight="bold")
    taken: list[float] = []
    for value in (scale.ticks[0], scale.ticks[-1], *scale.ticks[1:-1]):
        height = scale.at(value)
        if all(abs(height - other) > 0.09 for other in taken):  # room for a line of text
            taken.append(height)
            axes.text(place + 0.035, height, formatter(value), va="center", fontsize=9.5, zorder=5)


def _plain(value: float) -> str:
    return f"{value:.4g}"


def importance_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rank correlation of each hyperparameter with the result: filled where chance alone hardly does it.

    Args:
        rows: name, correlation (-1 to 1), clear.
    """
    with svg.style("importance"):
        figure, axes = svg.figure((svg.HALF[0], 0.9 + 0.4 * len(rows)))
        for place, row in enumerate(rows):
            axes.barh(
                place,
                row["correlation"],
                height=0.55,
                color=svg.TRAIN,
                edgecolor=svg.TRAIN,
                fill=row["clear"],
                linewidth=1.5,
            )
        axes.axvline(0, color=svg.INK, linewidth=1)
        axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(-1, 1)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["lower is\nbetter", "", "no order", "", "higher is\nbetter"])
        axes.grid(visible=False, axis="y")
        return svg.svg(figure, "importance")
