"""Further attempts at jobs: for what passes, under new names, and for nothing else."""

from collections.abc import Callable
from typing import Any

import pytest

from contract.names import MAX_TUNING_JOB_NAME
from infra.settings import MAX_STAGE_NAME, Retry, Settings
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import Task, TaskError
from tests.infra.running import run

CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
INTERNAL = "InternalServerError: We encountered an internal error. Please try again."
THROTTLED = TaskError(
    "SageMaker.AmazonSageMakerException",
    "Rate exceeded (Service: AmazonSageMaker; Status Code: 400; Error Code: ThrottlingException; Request ID: 1)",
)
REFUSED = TaskError(
    "SageMaker.AmazonSageMakerException",
    "The account-level service limit 'ml.g4dn.xlarge for training job usage' is 0 Instances (Service: AmazonSageMaker; "
    "Status Code: 400; Error Code: ResourceLimitExceeded; Request ID: 1)",
)
TUNING = "sagemaker:createHyperParameterTuningJob.sync"
TRIALS = "aws-sdk:sagemaker:listTrainingJobsForHyperParameterTuningJob"
SETTINGS = Settings(image="x", retry=Retry(attempts=3, wait_seconds=300))


def ended(reason: str) -> TaskError:
    """Return how a .sync task ends whose job failed."""
    return TaskError("States.TaskFailed", {"TrainingJobStatus": "Failed", "FailureReason": reason})


class FlakyAws(FakeAws):
    """Jobs of a step fail as listed before one succeeds; its trials failed for ``trial``."""

    def __init__(self, step: str, *errors: TaskError, trial: str = "AlgorithmError: ValueError: no features") -> None:
        super().__init__()
        self._step, self._errors, self._trial = step, list(errors), trial

    def tasks(self) -> dict[str, Task]:
        """Put the failures before the jobs, behind the checks of their requests."""
        tasks = super().tasks()
        tasks["sagemaker:createTrainingJob.sync"] = self._flaky(
            tasks["sagemaker:createTrainingJob.sync"], lambda request: request["TrainingJobName"].split("-")[2]
        )
        tasks[TUNING] = self._flaky(tasks[TUNING], lambda request: "tune")
        trials = tasks[TRIALS]

        def list_trials(request: Any) -> Any:
            answer = trials(request)
            for summary in answer["TrainingJobSummaries"]:
                summary |= {"FailureReason": self._trial} if "FailureReason" in summary else {}
            return answer

        return tasks | {TRIALS: list_trials}

    def _flaky(self, task: Task, step_of: Callable[[Any], str]) -> Task:
        def call(request: Any) -> Any:
            answer = task(request)
            if step_of(request) == self._step and self._errors:
                raise self._errors.pop(0)
            return answer

        return call


def names(aws: FakeAws, step: str) -> list[str]:
    """Return the names under which a step's job was tried, without what they have in common."""
    if step == "tune":
        tried = [r["HyperParameterTuningJobName"] for r in aws.requests.get("createHyperParameterTuningJob", [])]
    else:
        tried = [r["TrainingJobName"] for r in aws.requests.get("createTrainingJob", [])]
        tried = [name for name in tried if f"-{step}-" in name]
    return [name.removeprefix(tried[0]) for name in tried]


@pytest.mark.parametrize("step", ["prepare", "features", "tune", "train"])
@pytest.mark.parametrize("reason", [CAPACITY, INTERNAL])
def test_a_job_that_aws_could_not_run_is_tried_again_under_a_new_name(step: str, reason: str) -> None:
    aws = FlakyAws(step, ended(reason), ended(reason), trial=reason)
    execution = run(aws, settings=SETTINGS)
    assert execution.status == "SUCCEEDED", execution.cause
    assert names(aws, step) == ["", "-r1", "-r2"]
    assert execution.waited >= 300 + 600


def test_after_the_last_attempt_the_reason_stands() -> None:
    aws = FlakyAws("train", *[ended(CAPACITY)] * 4)
    execution = run(aws, settings=SETTINGS)
    assert (execution.error, execution.cause) == ("Pedigree.Train", f"Train: {CAPACITY}")
    assert names(aws, "train") == ["", "-r1", "-r2", "-r3"]
    assert execution.waited == 300 + 600 + 1200


def test_no_further_attempt_is_made_where_the_settings_want_none() -> None:
    aws = FlakyAws("prepare", ended(CAPACITY))
    assert run(aws, settings=Settings(image="x", retry=Retry(attempts=0))).status == "FAILED"
    assert names(aws, "prepare") == [""]


@pytest.mark.parametrize("step", ["prepare", "features", "tune", "train"])
@pytest.mark.parametrize(
    "error",
    [
        ended("AlgorithmError: PhotosError: no photos, exit code: 1"),
        ended("AlgorithmError: InternalServerError: as the script says, exit code: 1"),
        ended("AlgorithmError: HTTPError: Rate exceeded, exit code: 1"),
        ended("ClientError: Data download failed: no objects"),
        ended("ImageError: the image cannot be pulled"),
        TaskError("States.TaskFailed", {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}),
        REFUSED,
        TaskError("SageMaker.ResourceInUseException", "Training job names must be unique"),
    ],
)
def test_what_would_only_fail_again_is_never_repeated(step: str, error: TaskError) -> None:
    aws = FlakyAws(step, error)
    execution = run(aws, settings=SETTINGS)
    assert execution.status == "FAILED"
    assert names(aws, step) == [""]
    assert execution.waited == 0


def test_a_throttled_request_is_made_again_soon() -> None:
    aws = FlakyAws("features", THROTTLED, THROTTLED)
    execution = run(aws, settings=Settings(image="x", retry=Retry(attempts=0)))
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.waited <= 60


def test_an_error_inside_sagemaker_s_api_is_passing_too() -> None:
    error = TaskError("SageMaker.AmazonSageMakerException", "null (Service: AmazonSageMaker; Status Code: 503; ...)")
    assert run(FlakyAws("train", error), settings=SETTINGS).status == "SUCCEEDED"


def test_each_job_has_all_attempts_of_its_own() -> None:
    class TwoFlaky(FlakyAws):
        def _flaky(self, task: Task, step_of: Callable[[Any], str]) -> Task:
            errors = {"prepare": [ended(CAPACITY)] * 3, "features": [ended(CAPACITY)] * 3}

            def call(request: Any) -> Any:
                answer = task(request)
                left = errors.get(step_of(request))
                if left:
                    raise left.pop()
                return answer

            return call

    aws = TwoFlaky("")
    assert run(aws, settings=SETTINGS).status == "SUCCEEDED"
    assert names(aws, "prepare") == names(aws, "features") == ["", "-r1", "-r2", "-r3"]


def test_what_follows_reads_what_the_attempt_that_succeeded_left() -> None:
    aws = FlakyAws("prepare", ended(CAPACITY))
    output = run(aws, {"source_fingerprint": "abc"}, SETTINGS).output
    assert output["prepared_uri"].endswith("-r1/output/model/")
    extract = next(r for r in aws.requests["createTrainingJob"] if "-features-" in r["TrainingJobName"])
    assert extract["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == output["prepared_uri"]
    record = next(value for key, value in aws.objects.items() if key.startswith("prepared-index/"))
    assert record["prepared_uri"] == output["prepared_uri"]


def test_the_trials_of_the_attempt_that_succeeded_are_collected() -> None:
    aws = FlakyAws("tune", ended(CAPACITY), trial=CAPACITY)
    output = run(aws, settings=SETTINGS).output
    assert output["tuning_job_name"].endswith("-r1")
    asked = [request["HyperParameterTuningJobName"] for request in aws.requests[TRIALS.rsplit(":", 1)[-1]]]
    assert asked == [output["tuning_job_name"].removesuffix("-r1"), output["tuning_job_name"]]


def test_a_tuning_whose_trials_found_no_capacity_is_repeated_though_its_own_reason_does_not_say_so() -> None:
    own = TaskError("States.TaskFailed", {"FailureReason": "All training jobs have failed."})
    aws = FlakyAws("tune", own, trial=CAPACITY)
    assert run(aws, settings=SETTINGS).status == "SUCCEEDED"
    assert names(aws, "tune") == ["", "-r1"]


def test_a_training_s_next_attempt_goes_on_from_the_same_checkpoints() -> None:
    aws = FlakyAws("train", ended(INTERNAL))
    run(aws, settings=SETTINGS)
    first, second = aws.requests["createTrainingJob"][-2:]
    assert first["CheckpointConfig"] == second["CheckpointConfig"]
    assert first["TrainingJobName"] != second["TrainingJobName"]


def test_the_last_attempt_s_name_fits_for_the_longest_stage_name() -> None:
    settings = Settings(stage="a" * MAX_STAGE_NAME, image="x", retry=Retry(attempts=9, wait_seconds=1))
    aws = FlakyAws("tune", *[ended(INTERNAL)] * 9, trial=INTERNAL)
    output = run(aws, settings=settings).output
    assert output["tuning_job_name"].endswith("-r9")
    assert len(output["tuning_job_name"]) == MAX_TUNING_JOB_NAME
