"""The shape of findings."""

import json

import pytest

from contract.findings import Finding, Severity, finding_of

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
