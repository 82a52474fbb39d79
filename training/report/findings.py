"""The part on what the rules found in the training, and on what was not looked at."""

from collections.abc import Mapping
from typing import Any, Final

from contract.findings import Finding, Severity, finding_of
from training.report.data import ReportData
from training.report.section import Section, plural

_WORST_FIRST: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)
_SIGNS: Final = {Severity.ERROR: ("✕", "bad"), Severity.WARNING: ("!", "warn"), Severity.INFO: ("i", "train")}
_STATES: Final = ("found", "failed", "not evaluated", "clear")
_STATE_SIGNS: Final = {"found": "!", "failed": "✕", "not evaluated": "-", "clear": "✓"}


def findings(data: ReportData) -> Section:
    """Return the findings, worst first, and every rule with its state."""
    content: Mapping[str, Any] = data.findings or {}
    found = sorted((finding_of(each) for each in content.get("findings", ())), key=_order)
    rules = sorted(content.get("rules", ()), key=lambda rule: (_STATES.index(rule["state"]), rule["name"]))
    by_state = {state: sum(rule["state"] == state for rule in rules) for state in _STATES}
    view = {
        "evaluated": data.findings is not None,
        "findings": [
            {"finding": each, "sign": _SIGNS[each.severity][0], "tone": _SIGNS[each.severity][1]} for each in found
        ],
        "rules": [{**rule, "sign": _STATE_SIGNS[rule["state"]]} for rule in rules],
        "summary": ", ".join(f"{count} {state}" for state, count in by_state.items() if count),
        "silent": by_state["failed"] + by_state["not evaluated"],
    }
    title = "What the rules found" + (f": {plural(len(found), 'finding')}" if found else "")
    return Section("findings", title, "Findings", view)


def _order(finding: Finding) -> tuple[int, float, str]:
    return (_WORST_FIRST.index(finding.severity), -1 if finding.step is None else finding.step, finding.rule)
