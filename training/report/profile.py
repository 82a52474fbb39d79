"""The part on where the time went, and on what the machine was doing meanwhile."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from training.report.data import ReportData
from training.report.profile_charts import phase_chart, step_chart, timeline_chart
from training.report.section import Section, byte_size, percent, seconds

_PHASES: Final = {
    "wait": "waiting for photos",
    "copy": "copy to the device",
    "forward": "forward",
    "backward": "backward",
    "optimizer": "optimizer",
    "save": "saving",
    "other": "everything else",
}
# A chart shows all; a table of more rows is read by nobody.
_MOST_ROWS: Final = 40


def profile(data: ReportData) -> Section:
    """Return phases, step times and the time line, each as a chart and as a table."""
    content: Mapping[str, Any] = data.profile or {}
    phases = _phases(content.get("phases", {}))
    steps = [
        (int(step), float(total), float(parts.get("wait", 0))) for step, total, parts in content.get("step_times", ())
    ]
    samples = content.get("timeline", ())
    worst = ", ".join(f"{row['name']} {percent(row['share'])}" for row in phases)
    view = {
        "profile": data.profile,
        "phases": phases,
        "phase_chart": phase_chart(phases) if phases else "",
        "phase_alt": f"Bar chart of the phases' shares of the time: {worst}.",
        "steps": _every(steps),
        "step_chart": step_chart(steps) if steps else "",
        "step_alt": _step_said(content.get("step_seconds") or {}),
        "samples": _every(samples),
        "timeline_chart": timeline_chart(samples) if samples else "",
        "timeline_alt": _timeline_said(samples),
        "tiles": _tiles(content, samples),
    }
    return Section("profile", "Where the time went", "Profile", view)


def _phases(found: Mapping[str, float]) -> list[dict[str, Any]]:
    total = sum(found.values()) or 1.0
    known = [name for name in _PHASES if name in found]
    return [
        {"name": _PHASES.get(name, name), "seconds": found[name], "share": found[name] / total}
        for name in (*known, *(name for name in found if name not in _PHASES))
    ]


def _every(rows: Sequence[Any]) -> list[Any]:
    """Return at most _MOST_ROWS of the rows, evenly spread, the last one included."""
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (_MOST_ROWS - 1))] for place in range(_MOST_ROWS)]


def _mean(samples: Sequence[Mapping[str, Any]], field: str) -> float | None:
    values = [sample[field] for sample in samples if sample.get(field) is not None]
    return fmean(values) if values else None


def _most(samples: Sequence[Mapping[str, Any]], field: str) -> float | None:
    return max((sample[field] for sample in samples if sample.get(field) is not None), default=None)


def _tiles(content: Mapping[str, Any], samples: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the figures that matter, (name, value); those that were not measured are not shown."""
    cpu, gpu = _mean(samples, "cpu"), _mean(samples, "gpu")
    values = (
        ("Steps", f"{content['steps']:,}" if content.get("steps") else None),
        ("Measured", seconds(content["seconds"]) if content.get("steps") else None),
        ("Before the first step", seconds(content.get("initialization_seconds"))),
        ("CPU, mean", None if cpu is None else f"{cpu:.0f}%"),
        ("GPU, mean", None if gpu is None else f"{gpu:.0f}%"),
        ("Memory, most", byte_size(_most(samples, "memory_bytes"))),
        ("GPU memory, most", byte_size(_most(samples, "gpu_memory_bytes"))),
    )
    return [(name, value) for name, value in values if value not in (None, "not known")]


def _step_said(times: Mapping[str, float]) -> str:
    said = ", ".join(f"{name} {seconds(times[name])}" for name in ("median", "p90", "max") if name in times)
    return f"Line chart of the time of each step: {said or 'no summary'}."


def _timeline_said(samples: Sequence[Mapping[str, Any]]) -> str:
    cpu, gpu = _mean(samples, "cpu"), _mean(samples, "gpu")
    busy = [
        f"{name} {value:.0f} % busy on average" for name, value in (("CPU", cpu), ("GPU", gpu)) if value is not None
    ]
    memory = _most(samples, "memory_bytes")
    return (
        f"Time line of utilisation, memory, disk and network: {', '.join(busy)}; at most {byte_size(memory)} of memory."
    )
