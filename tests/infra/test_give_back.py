"""What a failed execution gives back: the rehearsal's endpoint, the former model, the scaling, the lock; and why."""

import pytest

from contract.names import Step
from infra.settings import Endpoint, Night, Rollout, Scaling, Settings
from infra.state_machine.definition import definition
from infra.state_machine.states import FAILED
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import TaskError
from tests.infra.running import SETTINGS, TEST, facts_of, run

LOCK = "locks/deploy.json"
SCALED = Settings(
    image="x",
    endpoint=Endpoint(
        deadline_seconds=60,
        instances=2,
        scaling=Scaling(maximum_instances=4, night=Night(begins="22:00", instances=1)),
    ),
)
REFUSED = TaskError("Some.Error", "not today")
_AFTER_THE_LOCK = (Step.GATE, Step.DEPLOY, Step.SMOKE_TEST)
# Only on the way to the lock, or after it was given back.
_WITHOUT_LOCK = {
    "Gate: take the lock",
    "Gate: who holds the lock",
    "Gate: is its holder still running",
    "Gate: take over the lock",
    "Smoke test: release the lock",
    "Smoke test: tell what became of the model",
}


def tasks_with_the_lock(settings: Settings) -> list[str]:
    states = definition(facts_of(settings))["States"]
    return [
        name
        for name, state in states.items()
        if state["Type"] == "Task" and name.split(": ")[0] in _AFTER_THE_LOCK and name not in _WITHOUT_LOCK
    ]


def in_service(aws: FakeAws) -> FakeAws:
    """An AWS whose endpoint serves a former model, scaled."""
    aws.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": "former"}]
    aws.scaled = True
    return aws


@pytest.mark.parametrize("state", tasks_with_the_lock(SCALED))
def test_a_failure_in_any_state_gives_everything_back(aws: FakeAws, state: str) -> None:
    in_service(aws)
    execution = run(aws, settings=SCALED, failing={state: REFUSED})
    if state in execution.path:
        step = state.split(": ")[0]
        assert execution.error == f"Pedigree.{step}"
        assert "not today" in execution.cause
        assert aws.registry.statuses() == ["Rejected"]
        (package,) = aws.registry.packages.values()
        assert package["ApprovalDescription"].startswith(f"{step}: ")
    else:  # removing or creating the endpoint, where there is one
        assert execution.status == "SUCCEEDED"
    assert LOCK not in aws.objects
    assert not aws.rehearsals
    if state != "Deploy: delete the rehearsal's endpoint":
        assert aws.calls.count("deleteEndpoint") <= 1
    assert aws.scaled


@pytest.mark.parametrize("state", tasks_with_the_lock(SETTINGS))
def test_a_failure_of_the_first_deployment_gives_the_lock_back(aws: FakeAws, state: str) -> None:
    run(aws, failing={state: REFUSED})
    assert LOCK not in aws.objects
    assert not aws.rehearsals


def test_a_failing_smoke_test_puts_the_former_model_back_and_says_so(aws: FakeAws) -> None:
    in_service(aws)
    aws.failures["invoke"] = TaskError("SmokeTestError", {"errorMessage": "POST answered 500"})
    no_rehearsal = Settings(image="x", endpoint=Endpoint(rollout=Rollout(rehearsal=False)))
    execution = run(aws, settings=no_rehearsal)
    updates = aws.requests["updateEndpoint"]
    assert [update["EndpointConfigName"] for update in updates][1:] == ["former"]
    assert "AutoRollbackConfiguration" in updates[0]["DeploymentConfig"]
    assert "AutoRollbackConfiguration" not in updates[1]["DeploymentConfig"]
    assert execution.error == "Pedigree.Smoke test"
    assert execution.cause == ("Smoke test: POST answered 500; the former model former serves again at pedigree-dev")
    assert "production/model.json" not in aws.objects


def test_a_failing_smoke_test_of_the_first_model_leaves_it_where_it_is(aws: FakeAws) -> None:
    aws.failures["invoke"] = TaskError("SmokeTestError", {"errorMessage": "POST answered 500"})
    execution = run(aws)
    assert execution.cause == "Smoke test: POST answered 500"
    assert "updateEndpoint" not in aws.calls
    assert aws.registry.statuses() == ["Rejected"]


def test_a_former_model_that_does_not_come_back_is_told_behind_the_first_failure(aws: FakeAws) -> None:
    in_service(aws)
    execution = run(
        aws,
        failing={"Smoke test": REFUSED, "Failed: put the former model back": TaskError("SageMaker.X", "in progress")},
    )
    assert execution.cause == (
        "Smoke test: Some.Error: not today; could not put the former model back: SageMaker.X: in progress"
    )
    assert LOCK not in aws.objects


def test_a_model_stopped_by_the_gate_is_rejected_with_the_reason(aws: FakeAws) -> None:
    aws.metrics[TEST] = 0.412
    run(aws)
    (package,) = aws.registry.packages.values()
    assert package["ModelApprovalStatus"] == "Rejected"
    assert package["ApprovalDescription"] == "Gate: the test accuracy of 41.2 % is below the required 60.0%"


def test_a_reason_of_several_lines_fits_the_registry(aws: FakeAws) -> None:
    aws.failures["invoke"] = TaskError("SmokeTestError", {"errorMessage": "first\nsecond " * 200})
    run(aws)
    (package,) = aws.registry.packages.values()
    assert len(package["ApprovalDescription"]) == 1024
    assert "\n" not in package["ApprovalDescription"]


@pytest.mark.parametrize(
    ("state", "told"),
    [("Failed: reject the model", "reject the model"), ("Failed: release the lock", "release the lock")],
)
def test_trouble_on_the_way_out_is_told_behind_the_first_failure(aws: FakeAws, state: str, told: str) -> None:
    aws.metrics[TEST] = 0.1
    execution = run(aws, failing={state: REFUSED})
    assert execution.error == "Pedigree.Gate"
    assert execution.cause.startswith("Gate: the test accuracy of 10 %")
    assert execution.cause.endswith(f"; could not {told}: Some.Error: not today")


def test_a_lock_that_cannot_be_given_back_at_the_end_is_an_error_but_the_model_stays(aws: FakeAws) -> None:
    execution = run(aws, failing={"Smoke test: release the lock": REFUSED})
    assert (execution.status, execution.error) == ("FAILED", "Pedigree.Smoke test")
    assert aws.registry.statuses() == ["Approved"]
    assert "production/model.json" in aws.objects
    assert run(aws).status == "SUCCEEDED"


def test_failures_before_the_lock_give_nothing_back(aws: FakeAws) -> None:
    execution = run(aws, failing={"Register": REFUSED})
    assert execution.path[-1] == FAILED
    assert [name for name in execution.path if name.startswith(FAILED)] == [FAILED]
