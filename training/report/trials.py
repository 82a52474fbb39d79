"""The part on the tuning: which hyperparameters were tried, what came of them and what mattered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from training.report.data import ReportData
from training.report.importance import LEAST_TRIALS, Importance, importances
from training.report.section import Section, percent, plural, short
from training.report.trial_charts import importance_chart, parallel_coordinates, trials_by


def trials(data: ReportData) -> Section:
    """Return the trials, best first, their charts and what mattered."""
    ranked = _ranked(data.tuning.get("trials", ()))
    scored = [trial for trial in ranked if trial["objective"] is not None]
    numeric = [name for name in _options(scored) if _numeric(name, scored)]
    varied = [name for name in numeric if len({float(t["hyperparameters"][name]) for t in scored}) > 1]
    best = scored[0]["name"] if scored else ""
    found = importances(varied, scored)
    view = {
        "trials": ranked,
        "options": _options(ranked),
        "best": scored[0] if scored else None,
        "best_said": _point(scored[0]) if scored else "",
        "parallel": parallel_coordinates(varied, scored, best) if varied else "",
        "parallel_alt": _parallel_said(varied, scored),
        "charts": [
            {"name": name, "chart": trials_by(name, scored, best), "alt": _by_said(name, scored)} for name in numeric
        ],
        "importances": [_row(each) for each in found],
        "importance_chart": importance_chart([_row(each) for each in found]) if found else "",
        "importance_alt": "Bar chart of rank correlations: " + "; ".join(_row(each)["said"] for each in found) + ".",
        "why_none": _why_none(len(scored), varied),
    }
    title = f"Tuning: {plural(len(ranked), 'trial')}" if ranked else "Tuning"
    return Section("trials", title, "Tuning", view)


def _ranked(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the trials, best first: by accuracy, equal ones by loss, those without a result last."""

    def rank(trial: Mapping[str, Any]) -> tuple[float, float]:
        if trial["objective"] is None:
            return -math.inf, 0
        return float(trial["objective"]), -float(trial["loss"]) if _finite(trial.get("loss")) else -math.inf

    usable = [{**trial, "objective": trial["objective"] if _finite(trial["objective"]) else None} for trial in found]
    return sorted(usable, key=rank, reverse=True)


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(float(value))


def _options(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for trial in found for name in trial["hyperparameters"]))


def _numeric(name: str, found: Sequence[Mapping[str, Any]]) -> bool:
    try:
        return all(math.isfinite(float(trial["hyperparameters"][name])) for trial in found)
    except (KeyError, ValueError):
        return False


def _point(trial: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {short(value)}" for name, value in trial["hyperparameters"].items())


def _parallel_said(names: Sequence[str], scored: Sequence[Mapping[str, Any]]) -> str:
    if not scored:
        return ""
    return (
        f"Parallel coordinates of {plural(len(scored), 'trial')} over {', '.join(names)} and validation accuracy. "
        f"The best: {_point(scored[0])}, {percent(scored[0]['objective'])}."
    )


def _by_said(name: str, scored: Sequence[Mapping[str, Any]]) -> str:
    values = [float(trial["hyperparameters"][name]) for trial in scored]
    scores = [float(trial["objective"]) for trial in scored]
    return (
        f"Scatter chart of {plural(len(scored), 'trial')}: {name} from {min(values):.4g} to {max(values):.4g}, "
        f"validation accuracy from {percent(min(scores))} to {percent(max(scores))}; the best at {values[0]:.4g}."
    )


def _row(each: Importance) -> dict[str, Any]:
    direction = "higher" if each.correlation > 0 else "lower"
    chance = f"chance alone shows as much in {_rare(each.chance)} of all orders"
    verdict = f"{direction} did better; {chance}" if each.clear else f"may be chance: {chance}"
    return {**asdict(each), "verdict": verdict, "said": f"{each.name} {each.correlation:+.2f}, {verdict}"}


def _rare(chance: float) -> str:
    return percent(chance) if chance >= 0.001 else "less than 0.1%"


def _why_none(scored: int, varied: Sequence[str]) -> str:
    if scored < LEAST_TRIALS:
        return (
            f"Nothing can be said about what mattered: {plural(scored, 'trial')} came to a result, and below "
            f"{LEAST_TRIALS} any order is as likely as another."
        )
    return "" if varied else "Nothing can be said about what mattered: the trials differ in no hyperparameter."
