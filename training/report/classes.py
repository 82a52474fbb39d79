"""The part on how well the model knows each class, and how sure so few photos let anyone be of that."""

import math
from typing import Any, Final

from training.report.charts import class_chart
from training.report.data import ReportData
from training.report.section import Section, percent

# The chart shows the worst; the table shows all.
_MOST_DRAWN: Final = 30
# 95 % of a normal distribution lie within so many standard deviations.
_Z: Final = 1.96


def classes(data: ReportData) -> Section:
    """Return a row per class, worst first, and the chart of the worst."""
    found = data.metrics["test_classes"]
    rows: list[dict[str, Any]] = []
    for row in found:
        if row["photos"]:
            low, high = wilson(round(row["accuracy"] * row["photos"]), row["photos"])
            taken_for = sorted(row["taken_for"].items(), key=lambda pair: (-pair[1], pair[0]))
            rows.append({**row, "low": low, "high": high, "taken_for": taken_for})
    rows.sort(key=lambda row: (row["accuracy"], row["high"], row["label"]))
    drawn = rows[:_MOST_DRAWN]
    worst = "; ".join(f"{row['label']} {percent(row['accuracy'])}" for row in rows[:3])
    view = {
        "rows": rows,
        "without": [row["label"] for row in found if not row["photos"]],
        "fewest": min((row["photos"] for row in rows), default=0),
        "most": max((row["photos"] for row in rows), default=0),
        "perfect": sum(row["accuracy"] == 1 for row in rows),
        "drawn": len(drawn),
        "chart": class_chart(drawn, data.metrics["test_accuracy"]) if drawn else "",
        "alt": f"Dot chart of the test accuracy of {len(drawn)} classes with 95 % intervals. Worst: {worst}.",
    }
    return Section("classes", "How well it knows each class", "Classes", view)


def wilson(right: int, photos: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of which ``right`` of ``photos`` were seen (Wilson 1927)."""
    share, square = right / photos, _Z * _Z
    middle = (share + square / (2 * photos)) / (1 + square / photos)
    reach = _Z / (1 + square / photos) * math.sqrt(share * (1 - share) / photos + square / (4 * photos * photos))
    return max(0.0, middle - reach), min(1.0, middle + reach)
