"""The definition: its shape, its names, its failure path."""

import json
from typing import Any

import pytest

from contract.names import Step
from infra.state_machine.definition import definition
from infra.state_machine.facts import Facts
from infra.state_machine.states import FAILED, assemble, targets

States = dict[str, Any]


@pytest.fixture(scope="module")
def states(facts: Facts) -> States:
    made: States = definition(facts)["States"]
    return made


def test_the_definition_is_json_in_jsonata(facts: Facts) -> None:
    made = json.loads(json.dumps(definition(facts)))
    assert made["QueryLanguage"] == "JSONata"
    assert made["StartAt"] in made["States"]


def test_every_state_is_named_after_its_step(states: States) -> None:
    steps = tuple(str(step) for step in Step)
    for name in states.keys() - {FAILED}:
        assert name in steps or name.split(": ")[0] in steps, name


def test_every_step_has_a_state_of_its_own_name(states: States) -> None:
    assert {str(step) for step in Step} <= states.keys()


def test_state_names_are_within_the_limit(states: States) -> None:
    assert max(len(name) for name in states) <= 80


def test_every_transition_leads_to_a_state(states: States) -> None:
    for name, state in states.items():
        assert targets(state) <= states.keys(), name


def test_every_state_can_be_reached(facts: Facts, states: States) -> None:
    reached: set[str] = set()
    ahead = {definition(facts)["StartAt"]}
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead |= targets(states[name]) - reached
    assert reached == states.keys()


def test_every_task_ends_its_catchers_with_one_for_everything(states: States) -> None:
    for name, state in states.items():
        if state["Type"] == "Task":
            last = state["Catch"][-1]
            assert last["ErrorEquals"] == ["States.ALL"], name
            assert last["Next"] == FAILED, name


def test_every_way_to_the_fail_state_says_which_step_failed(states: States) -> None:
    for name, state in states.items():
        for rule in [*state.get("Catch", []), *state.get("Choices", [])]:
            if rule.get("Next") == FAILED and name != "Tune: ask the trials why":
                assert rule["Assign"]["failure"]["step"] == name.split(": ")[0], name


def test_a_failed_job_is_never_repeated(states: States) -> None:
    for name, state in states.items():
        for retrier in state.get("Retry", []):
            assert not {"States.TaskFailed", "States.ALL", "States.Timeout"} & set(retrier["ErrorEquals"]), name


def test_no_task_keeps_the_service_s_whole_answer(states: States) -> None:
    last = [name for name, state in states.items() if state.get("End")]
    for name, state in states.items():
        if state["Type"] == "Task" and name not in last:
            assert state["Output"] == {}, name


def test_two_states_of_the_same_name_are_refused() -> None:
    one = {"Prepare": {"Type": "Succeed"}}
    with pytest.raises(ValueError, match="several states are called Prepare"):
        assemble("Prepare", one, one)


def test_a_transition_to_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="states that do not exist: Tune"):
        assemble("Prepare", {"Prepare": {"Type": "Pass", "Next": "Tune"}})
