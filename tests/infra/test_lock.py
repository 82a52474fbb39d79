"""The lock: one execution at a time judges its model and changes the endpoint."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from infra.settings import Endpoint, Scaling
from infra.state_machine import lock
from tests.infra.fake_aws import FakeAws
from tests.infra.fake_bucket import CONFLICT, PRECONDITION_FAILED
from tests.infra.machine import Execution, TaskError
from tests.infra.running import SETTINGS, TEST, run, start

LOCK = "locks/deploy.json"
DEPLOYED = "Smoke test: write down what is in production"


def until(steps: Iterator[str], state: str) -> None:
    """Run an execution until it has left a state."""
    for left in steps:
        if left == state:
            return
    raise AssertionError(f"{state} was never reached")


def to_the_end(steps: Iterator[str]) -> None:
    for _ in steps:
        pass


def stopped_with_the_lock(aws: FakeAws, state: str = lock.START) -> Execution:
    """Return an execution that StopExecution ended in the middle of what only one may do."""
    execution, steps = start(aws)
    until(steps, state)
    execution.status = "ABORTED"
    return execution


def test_the_lock_names_its_execution_and_is_given_back(aws: FakeAws) -> None:
    execution, steps = start(aws)
    until(steps, lock.START)
    assert aws.objects[LOCK]["execution_arn"] == execution.arn
    to_the_end(steps)
    assert execution.status == "SUCCEEDED"
    assert LOCK not in aws.objects


def test_a_second_execution_waits_and_compares_with_what_the_first_one_put_into_production(aws: FakeAws) -> None:
    first, ahead = start(aws)
    until(ahead, lock.START)
    aws.metrics[TEST] = 0.8
    second, behind = start(aws)
    until(behind, "Gate: wait for another execution")
    to_the_end(ahead)
    to_the_end(behind)
    assert first.status == "SUCCEEDED"
    assert second.status == "FAILED"
    assert "below the 90 % of the model in production" in second.cause
    assert aws.registry.statuses() == ["Approved", "Rejected"]
    assert aws.calls.count("createEndpoint") == 1


def test_executions_that_take_turns_at_every_state_deploy_one_after_the_other(aws: FakeAws) -> None:
    first, ahead = start(aws)
    second, behind = start(aws)
    holding: list[str] = []
    # The first two of each round: the shorter one does not end the other.
    while first.status == "RUNNING" or second.status == "RUNNING":
        for execution, steps in ((first, ahead), (second, behind)):
            if next(steps, None) and LOCK in aws.objects and aws.objects[LOCK]["execution_arn"] == execution.arn:
                holding.append(execution.arn)
    assert (first.status, second.status) == ("SUCCEEDED", "SUCCEEDED")
    assert sorted(holding) == holding
    assert aws.registry.statuses() == ["Approved", "Approved"]
    assert aws.objects["production/model.json"]["execution_arn"] == second.arn
    names = [request["ModelName"] for request in aws.requests["createModel"]]
    assert len(set(names)) == 2


def test_who_waits_in_vain_is_told_which_execution_is_in_front(aws: FakeAws) -> None:
    first, ahead = start(aws)
    until(ahead, lock.START)
    second = run(aws)
    assert second.error == "Pedigree.Gate"
    assert first.arn in second.cause
    assert 60 < second.waited <= 80
    # It is the other one's lock, and nobody has judged this model.
    assert aws.objects[LOCK]["execution_arn"] == first.arn
    assert aws.registry.statuses()[-1] == "PendingManualApproval"


def test_the_lock_of_a_stopped_execution_is_taken_over(aws: FakeAws) -> None:
    stopped = stopped_with_the_lock(aws)
    execution = run(aws)
    assert execution.status == "SUCCEEDED", execution.cause
    assert "Gate: take over the lock" in execution.path
    assert execution.waited == 20 * execution.path.count("Deploy: wait")
    assert stopped.arn not in str(aws.objects)


def test_the_endpoint_that_a_stopped_execution_rehearsed_on_is_deleted(aws: FakeAws) -> None:
    aws.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": "former"}]
    stopped_with_the_lock(aws, "Deploy: create an endpoint to rehearse on")
    assert len(aws.rehearsals) == 1
    assert run(aws).status == "SUCCEEDED"
    assert not aws.rehearsals


def test_one_that_is_still_being_created_is_deleted_later(aws: FakeAws) -> None:
    stopped_with_the_lock(aws)
    refusals = [TaskError("SageMaker.SageMakerException", "Cannot update in-progress endpoint")] * 2
    delete = aws.delete_endpoint

    def busy(request: object) -> object:
        if refusals:
            raise refusals.pop()
        return delete(request)

    setattr(aws, "delete_endpoint", busy)  # noqa: B010 mypy refuses to assign a method
    execution = run(aws)
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.path.count("Gate: wait for its rehearsal") == 2


def test_one_that_cannot_be_deleted_keeps_nobody_waiting_for_ever(aws: FakeAws) -> None:
    stopped_with_the_lock(aws)
    stuck = TaskError("SageMaker.SageMakerException", "Cannot update in-progress endpoint")
    execution = run(aws, failing={"Gate: delete what its holder rehearsed on": stuck})
    assert execution.status == "SUCCEEDED", execution.cause


def test_whoever_takes_over_and_fails_puts_the_scaling_on_again(aws: FakeAws) -> None:
    scaled = replace(SETTINGS, endpoint=Endpoint(deadline_seconds=60, scaling=Scaling(maximum_instances=2)))
    aws.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": "former"}]
    aws.scaled = True
    stopped, steps = start(aws, settings=scaled)
    until(steps, "Deploy: take the scaling off")
    stopped.status = "ABORTED"
    aws.metrics[TEST] = 0.1
    assert run(aws, settings=scaled).error == "Pedigree.Gate"
    assert aws.scaled


def test_the_lock_of_an_execution_that_aws_has_forgotten_is_taken_over(aws: FakeAws) -> None:
    holder = "arn:aws:states:us-east-1:123456789012:execution:pedigree-dev:old"
    aws.objects[LOCK] = {"execution_arn": holder, "run": "0123456789ab"}
    assert run(aws).status == "SUCCEEDED"
    assert LOCK not in aws.objects


def test_an_execution_that_may_be_redriven_keeps_its_lock(aws: FakeAws) -> None:
    stopped_with_the_lock(aws).status = "PENDING_REDRIVE"
    assert run(aws).status == "FAILED"


def test_of_two_that_take_over_one_gets_the_lock(aws: FakeAws) -> None:
    stopped_with_the_lock(aws)
    first, ahead = start(aws)
    second, behind = start(aws)
    until(ahead, "Gate: wait or take over")
    until(behind, "Gate: wait or take over")
    until(ahead, "Gate: take over the lock")
    until(behind, "Gate: take over the lock")
    assert aws.objects[LOCK]["execution_arn"] == first.arn
    to_the_end(ahead)
    to_the_end(behind)
    assert (first.status, second.status) == ("SUCCEEDED", "SUCCEEDED")


def test_a_lock_that_is_given_back_between_two_looks_is_asked_for_again(aws: FakeAws) -> None:
    first, ahead = start(aws)
    until(ahead, lock.START)
    second, behind = start(aws)
    until(behind, lock.START)
    to_the_end(ahead)
    to_the_end(behind)
    assert (first.status, second.status) == ("SUCCEEDED", "SUCCEEDED")


def test_a_stopped_execution_that_goes_on_does_not_give_back_another_one_s_lock(aws: FakeAws) -> None:
    stopped, steps = start(aws)
    until(steps, DEPLOYED)
    stopped.status = "ABORTED"
    other, others = start(aws)
    until(others, "Gate: take over the lock")
    stopped.status = "RUNNING"
    to_the_end(steps)
    assert stopped.status == "FAILED"
    assert aws.objects[LOCK]["execution_arn"] == other.arn


@pytest.mark.parametrize("refusal", [PRECONDITION_FAILED, CONFLICT])
def test_a_lock_that_is_never_there_when_looked_for_is_waited_for_to_the_deadline(
    aws: FakeAws, refusal: TaskError
) -> None:
    execution = run(aws, failing={lock.START: refusal})
    assert execution.cause == f"Gate: the lock could not be taken: S3.S3Exception: {refusal.cause}"
    assert 60 < execution.waited <= 80


def test_a_refusal_to_write_the_lock_is_told_at_once_in_s3_s_words(aws: FakeAws) -> None:
    denied = TaskError("S3.S3Exception", "User is not authorized (Service: S3, Status Code: 403, Request ID: R)")
    execution = run(aws, failing={lock.START: denied})
    assert execution.cause.startswith("Gate: S3.S3Exception: User is not authorized")
    assert not execution.waited
