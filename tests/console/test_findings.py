"""What the rules found, on a terminal."""

import json
from dataclasses import replace
from pathlib import Path

from console.findings import finding_lines, findings_in, findings_of
from contract.findings import Finding, Severity

WARNING = Finding("Overfit", Severity.WARNING, 90, "The loss rises.", "It learns by heart.", "Take more photos.")
ERROR = replace(WARNING, rule="AllZero", severity=Severity.ERROR, step=None)
NOTE = replace(WARNING, rule="Overtraining", severity=Severity.INFO)


def test_errors_and_warnings_are_told_the_gravest_first_and_notes_are_counted() -> None:
    found = findings_of(each.as_dict() for each in (NOTE, WARNING, ERROR))
    assert finding_lines(found, "pedigree report --open") == [
        "Rules: 1 error, 1 warning, 1 note",
        "  Error: AllZero: The loss rises. Take more photos.",
        "  Warning: Overfit at step 90: The loss rises. Take more photos.",
        "  What each means: pedigree report --open",
    ]


def test_where_nothing_was_found_one_line_says_so() -> None:
    assert finding_lines([], "x") == ["Rules: nothing was found in the training"]


def test_findings_are_read_from_where_a_run_left_them(tmp_path: Path) -> None:
    assert findings_in(tmp_path) is None
    content = {"rules": [], "findings": [WARNING.as_dict(), {"rule": "of another version"}]}
    (tmp_path / "findings.json").write_text(json.dumps(content))
    assert findings_in(tmp_path) == [WARNING]
