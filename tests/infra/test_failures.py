"""Failures: one path, which names the step and the cause."""

from typing import Any

import pytest

from infra.state_machine.definition import definition
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import Machine, TaskError
from tests.infra.running import SETTINGS, facts_of, run


@pytest.mark.parametrize(
    ("where", "error", "cause", "expected"),
    [
        (
            "prepare",
            "States.TaskFailed",
            {"FailureReason": "PhotosError: no photos"},
            "Prepare: PhotosError: no photos",
        ),
        ("features", "States.TaskFailed", {"FailureReason": "OOM"}, "Extract features: OOM"),
        (
            "train",
            "States.TaskFailed",
            {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"},
            "Train: the job was stopped (MaxRuntimeExceeded)",
        ),
        ("train", "States.TaskFailed", '{"cut off', 'Train: States.TaskFailed: {"cut off'),
        ("createModel", "SageMaker.Nope", "not allowed", "Deploy: SageMaker.Nope: not allowed"),
        ("putObject", "S3.S3Exception", "Access Denied", "Prepare: S3.S3Exception: Access Denied"),
        ("invoke", "SmokeTestError", {"errorMessage": "answered 500", "errorType": "S"}, "Smoke test: answered 500"),
    ],
)
def test_a_failure_names_the_step_and_the_cause(
    aws: FakeAws, where: str, error: str, cause: object, expected: str
) -> None:
    aws.failures[where] = TaskError(error, cause)
    execution = run(aws)
    assert execution.cause == expected
    assert execution.error == f"Pedigree.{expected.split(':')[0]}"


def test_a_long_cause_is_cut(aws: FakeAws) -> None:
    aws.failures["train"] = TaskError("States.TaskFailed", {"FailureReason": "x" * 10_000})
    assert len(run(aws).cause) < 5_000


def test_a_tuning_without_a_good_trial_says_why_the_first_one_failed(aws: FakeAws) -> None:
    reason = {"HyperParameterTuningJobStatus": "Failed", "FailureReason": "All training jobs failed."}
    aws.failures["createHyperParameterTuningJob"] = TaskError("States.TaskFailed", reason)
    assert run(aws).cause == "Tune: All training jobs failed. Trial t-001: ValueError: no features"


def test_a_throttled_request_is_repeated(aws: FakeAws) -> None:
    tasks = aws.tasks()
    answers = [TaskError("SageMaker.AmazonSageMakerException", "Rate exceeded")]
    create = tasks["sagemaker:createTrainingJob.sync"]

    def throttled(request: Any) -> Any:
        if answers:
            raise answers.pop()
        return create(request)

    machine = Machine(definition(facts_of(SETTINGS)), tasks | {"sagemaker:createTrainingJob.sync": throttled})
    assert machine.run().status == "SUCCEEDED"
