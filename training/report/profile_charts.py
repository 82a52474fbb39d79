"""Charts of the profile: what a step's time goes into, how it varies, and what the machine was doing meanwhile."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from training.report import svg

_ROW_INCHES: Final = 0.4
_MEGA: Final = 1e6
_GIGA: Final = 1e9


def phase_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a bar per phase: name, seconds, share (0 to 1) of the time."""
    with svg.style("phases"):
        figure, axes = svg.figure((svg.HALF[0], 0.8 + _ROW_INCHES * len(rows)))
        longest = max((row["share"] for row in rows), default=1) or 1
        for place, row in enumerate(rows):
            axes.barh(place, row["share"], height=0.6, color=svg.TRAIN, alpha=0.85)
            axes.text(
                row["share"] + longest * 0.02, place, svg.share(round(row["share"], 3)), va="center", fontsize=9.5
            )
        axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, longest * 1.18)
        axes.xaxis.set_major_formatter(svg.share)
        axes.grid(visible=False, axis="y")
        return svg.svg(figure, "phases")


def step_chart(steps: Sequence[tuple[int, float, float]]) -> str:
    """Return the milliseconds of each step and, of these, those spent waiting for photos: (step, seconds, waiting)."""
    with svg.style("steps"):
        figure, axes = svg.figure(svg.HALF)
        numbers = [step for step, _, _ in steps]
        axes.plot(numbers, [total * 1000 for _, total, _ in steps], color=svg.TRAIN, linewidth=1.2, label="whole step")
        axes.fill_between(
            numbers,
            [waiting * 1000 for _, _, waiting in steps],
            color=svg.VALID,
            alpha=0.45,
            linewidth=0,
            label="waiting for photos",
        )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("step")
        axes.set_ylabel("milliseconds")
        axes.legend(frameon=False, loc="best")
        return svg.svg(figure, "steps")


def timeline_chart(samples: Sequence[Mapping[str, Any]]) -> str:
    """Return three charts above one another, over seconds: utilisation, memory, bytes read, written and received."""
    with svg.style("timeline"):
        figure, panels = svg.figure((svg.WIDE[0], 5.2), rows=3)
        at = [sample["at"] for sample in samples]
        solid, dashed, dotted = "-", (0, (5, 2)), (0, (1, 1.5))
        lines: tuple[tuple[Any, tuple[tuple[str, str, str, Any, float], ...]], ...] = (
            (panels[0], (("cpu", "CPU", svg.TRAIN, solid, 1), ("gpu", "GPU", svg.VALID, dashed, 1))),
            (
                panels[1],
                (
                    ("memory_bytes", "memory", svg.TRAIN, solid, _GIGA),
                    ("gpu_memory_bytes", "GPU memory", svg.VALID, dashed, _GIGA),
                ),
            ),
            (
                panels[2],
                (
                    ("disk_read_bytes_s", "disk, read", svg.TRAIN, solid, _MEGA),
                    ("disk_write_bytes_s", "disk, written", svg.VALID, dashed, _MEGA),
                    ("network_bytes_s", "network", svg.ACCENT, dotted, _MEGA),
                ),
            ),
        )
        for (axes, drawn), unit in zip(lines, ("percent busy", "GB", "MB per second"), strict=True):
            for field, label, colour, dashes, scale in drawn:
                values = [sample.get(field) for sample in samples]
                if any(value is not None for value in values):
                    shown = [float("nan") if value is None else value / scale for value in values]
                    axes.plot(at, shown, color=colour, linestyle=dashes, linewidth=1.5, label=label)
            axes.set_ylabel(unit)
            axes.set_ylim(bottom=0)
            if axes.lines:
                axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        panels[2].set_xlabel("seconds since the start")
        return svg.svg(figure, "timeline")
