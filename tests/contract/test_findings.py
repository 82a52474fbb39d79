"""The shape of findings."""

import json
from dataclasses import replace

import pytest

from contract.findings import LONGEST_TOLD, MOST_TOLD, Finding, Severity, finding_of, told

FOUND = Finding(
    "LossNotDecreasing",
    Severity.ERROR,
    40,
    "The loss rose from 2.3 to 9.1.",
    "The steps are too large.",
    "Lower the learning rate.",
)


def test_a_finding_goes_through_json_unchanged() -> None:
    assert finding_of(json.loads(json.dumps(FOUND.as_dict()))) == FOUND


def test_a_finding_is_one_line_that_names_rule_and_step_and_says_what_to_do() -> None:
    assert FOUND.sentence == "LossNotDecreasing at step 40: The loss rose from 2.3 to 9.1. Lower the learning rate."


@pytest.mark.parametrize("fields", [{}, {**FOUND.as_dict(), "severity": "bad"}, {**FOUND.as_dict(), "more": 1}])
def test_what_is_no_finding_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"bad|is no finding"):
        finding_of(fields)


def test_errors_and_warnings_are_told_and_information_is_not() -> None:
    others = [replace(FOUND, severity=Severity.WARNING, rule="Overfit"), replace(FOUND, severity=Severity.INFO)]
    assert told([FOUND, *others]) == {"errors": [FOUND.sentence], "warnings": [others[0].sentence]}


def test_whatever_was_found_what_is_told_is_short() -> None:
    told_of = told([replace(FOUND, evidence="x" * 5000)] * 30)["errors"]
    assert len(told_of) == MOST_TOLD + 1
    assert max(map(len, told_of)) == LONGEST_TOLD
    assert told_of[-1] == "and 25 more"
