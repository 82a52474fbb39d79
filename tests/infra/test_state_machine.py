"""The definition: its shape, its names, its failure path."""

import json
from typing import Any

import pytest

from contract.names import Step
from infra.state_machine.definition import definition
from infra.state_machine.facts import Facts
from infra.state_machine.states import FAILED, GIVE_BACK, assemble, failed, targets

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
    for name in states:
        assert name in (*steps, FAILED) or name.split(": ")[0] in (*steps, FAILED), name


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


def test_every_failure_after_the_model_is_registered_gives_back_what_the_execution_holds(states: States) -> None:
    for name, state in states.items():
        step = name.split(": ")[0]
        if step == FAILED or name == "Smoke test: release the lock":
            continue
        ends = {target for target in targets(state) if target.split(": ")[0] == FAILED}
        assert ends <= {failed(Step(step))}, name
    assert failed(Step.REGISTER) == FAILED
    assert failed(Step.GATE) == failed(Step.DEPLOY) == failed(Step.SMOKE_TEST) == GIVE_BACK


def test_every_way_to_the_fail_state_says_which_step_failed(states: States) -> None:
    # Where the failure stands already when these are reached.
    known = {"Tune: ask the trials why", "Gate: wait or take over"}
    for name, state in states.items():
        step = name.split(": ")[0]
        for rule in [*state.get("Catch", []), *state.get("Choices", [])]:
            if rule.get("Next") in (FAILED, GIVE_BACK) and name not in known and step != FAILED:
                assert rule["Assign"]["failure"]["step"] == step, name


def test_giving_back_never_hides_the_first_failure(states: States) -> None:
    for name, state in states.items():
        if name.split(": ")[0] == FAILED:
            for catcher in state.get("Catch", []):
                told = catcher["Assign"].get("failure")
                assert told is None or told["step"] == "{% $failure.step %}", name
                assert told is None or told["cause"].startswith("{% $failure.cause & "), name


def test_the_definition_is_far_below_the_size_limit(facts: Facts) -> None:
    assert len(json.dumps(definition(facts))) < 128 * 1024


def test_a_failed_job_is_never_repeated(states: States) -> None:
    for name, state in states.items():
        for retrier in state.get("Retry", []):
            assert not {"States.TaskFailed", "States.ALL", "States.Timeout"} & set(retrier["ErrorEquals"]), name


def test_no_task_keeps_the_service_s_whole_answer(states: States) -> None:
    for name, state in states.items():
        if state["Type"] == "Task":
            assert state["Output"] == {}, name


def test_two_states_of_the_same_name_are_refused() -> None:
    one = {"Prepare": {"Type": "Succeed"}}
    with pytest.raises(ValueError, match="several states are called Prepare"):
        assemble("Prepare", one, one)


def test_a_transition_to_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="states that do not exist: Tune"):
        assemble("Prepare", {"Prepare": {"Type": "Pass", "Next": "Tune"}})
