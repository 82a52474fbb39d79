"""The part on how far the model's probabilities can be believed."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.report.charts import reliability_chart
from training.report.data import ReportData
from training.report.section import Section, percent


def calibration(data: ReportData) -> Section:
    """Return the calibration errors, the reliability chart and its numbers."""
    found: Mapping[str, Any] = data.metrics.get("calibration", {})
    bins = found.get("reliability", {"before": [], "served": []})
    before, served = bins["before"], bins["served"]
    view = {
        "calibration": found,
        "chart": reliability_chart(before, served) if served else "",
        "alt": "Line chart of the share of test photos named right over the probability of their best label: "
        + "; ".join(f"said {percent(each['confidence'])}, right {percent(each['accuracy'])}" for each in served)
        + ".",
        "rows": _rows(before, served),
    }
    return Section("calibration", "How far its probabilities can be believed", "Calibration", view)


def _rows(before: Sequence[Mapping[str, Any]], served: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per range of probabilities: the bin before the temperature was applied and the one after it."""
    sides = [{each["low"]: each for each in bins} for bins in (before, served)]
    rows = []
    for low in sorted(sides[0].keys() | sides[1].keys()):
        pair = [side.get(low) for side in sides]
        rows.append({"low": low, "high": next(each["high"] for each in pair if each), "bins": pair})
    return rows
