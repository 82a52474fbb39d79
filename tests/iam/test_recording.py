import json
from datetime import UTC, datetime
from typing import Any

from tests.iam.recording import Recording

_DEFINITION: dict[str, Any] = {
    "QueryLanguage": "JSONata",
    "StartAt": "Prepare: read",
    "States": {
        "Prepare: read": {"Type": "Pass", "Next": "Train"},
        "Train": {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "Next": "Deploy: a"},
        "Deploy: a": {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createEndpoint", "Next": "Deploy: b"},
        "Deploy: b": {"Type": "Wait", "Seconds": 1, "End": True},
    },
}


def _history() -> list[dict[str, Any]]:
    """Each state takes ten seconds; the first assigns the run's name."""
    events: list[dict[str, Any]] = []
    for number, name in enumerate(_DEFINITION["States"]):
        entered, left = (datetime.fromtimestamp(10 * number + offset, UTC) for offset in (0, 9))
        events.append({"timestamp": entered, "stateEnteredEventDetails": {"name": name, "input": f'{{"n": {number}}}'}})
        details = {"resource": "createTrainingJob.sync", "parameters": json.dumps({"n": number})}
        events += [{"timestamp": entered, "taskScheduledEventDetails": details}] if name == "Train" else []
        assigned = {"assignedVariables": {"run": '"abc"'}} if number == 0 else {}
        events.append({"timestamp": left, "stateExitedEventDetails": {"name": name, **assigned}})
    return events


def _beginnings(moment: float, *, in_background: bool = False) -> list[dict[str, Any]]:
    return list(Recording(_DEFINITION, _history()).beginnings(moment, in_background=in_background))


def test_an_execution_begins_at_the_state_with_its_input_and_variables() -> None:
    definition = _beginnings(35)[0]
    begin = definition["States"][definition["StartAt"]]
    assert begin == {"Type": "Pass", "Assign": {"run": "abc"}, "Output": {"n": 3}, "Next": "Deploy: b"}
    assert definition["States"].items() >= _DEFINITION["States"].items()


def test_then_at_the_beginning_of_the_step_under_another_name() -> None:
    again = _beginnings(35)[1]
    begin = again["States"][again["StartAt"]]
    assert begin["Next"] == "Deploy: a"
    assert begin["Assign"]["run"] != "abc"
    assert len(begin["Assign"]["run"]) == 3


def test_what_happens_in_the_background_begins_with_what_set_it_off() -> None:
    definition = _beginnings(35, in_background=True)[0]
    assert definition["States"][definition["StartAt"]]["Next"] == "Deploy: a"


def test_what_the_first_state_asks_for_begins_without_variables() -> None:
    definition = _beginnings(5)[0]
    assert "Assign" not in definition["States"][definition["StartAt"]]


def test_the_arguments_of_a_call_are_kept() -> None:
    assert Recording(_DEFINITION, _history()).parameters("createTrainingJob") == {"n": 1}


def test_an_execution_that_began_in_the_middle_is_a_recording_too() -> None:
    begun = [{**event} for event in _history()]
    begun[0] = {**begun[0], "stateEnteredEventDetails": {"name": "Begin here", "input": "{}"}}
    recording = Recording(_DEFINITION, begun)
    assert [visit.state for visit in recording.visits] == ["Train", "Deploy: a", "Deploy: b"]
    assert recording.visits[0].variables == {"run": "abc"}
