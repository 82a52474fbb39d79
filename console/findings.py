"""What the rules found in a training, in words for a terminal."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from console.files import read_json
from contract.findings import Finding, Severity, finding_of
from contract.names import OutputFile

_WORDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
PAGE: Final = "docs/debugging.md"


def findings_of(fields: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return the findings of metrics.json or findings.json, the gravest first; what is none is left out."""
    found = []
    for each in fields:
        try:
            found.append(finding_of(each))
        except ValueError:  # of a training by another version, whose report shows it
            continue
    return sorted(found, key=lambda finding: list(_WORDS).index(finding.severity))


def findings_in(folder: Path) -> list[Finding] | None:
    """Return what a folder's findings.json tells; None where there is none."""
    content = read_json(folder / OutputFile.FINDINGS)
    return findings_of(content.get("findings", ())) if isinstance(content, dict) else None


def finding_lines(findings: list[Finding], more: str) -> list[str]:
    """Return one line that counts, one per error or warning, and where there is ``more`` to read."""
    if not findings:
        return ["Rules: nothing was found in the training"]
    counts = {severity: sum(each.severity is severity for each in findings) for severity in _WORDS}
    head = ", ".join(f"{count} {_WORDS[kind]}{'s' * (count != 1)}" for kind, count in counts.items() if count)
    told = [
        f"  {_WORDS[each.severity].capitalize()}: {each.sentence}"
        for each in findings
        if each.severity is not Severity.INFO
    ]
    return [f"Rules: {head}", *told, f"  What each means: {more}"]
