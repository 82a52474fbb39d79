"""Executions of the definition against a scripted AWS: what runs, what is skipped, how it fails."""

import copy
import json
from typing import Any

import pytest

from contract.metrics import FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY
from contract.names import Step
from contract.search_space import parse_hyperparameters
from infra.settings import Defaults, Endpoint, Gate, Job, Jobs, Settings
from infra.state_machine.definition import definition
from infra.state_machine.facts import Facts
from tests.infra.conftest import facts_of
from tests.infra.fake_aws import NO_ENDPOINT, SUMMARY, FakeAws
from tests.infra.machine import Execution, Machine, TaskError

SETTINGS = Settings(
    image="pedigree:laptop",
    gate=Gate(minimum_accuracy=0.6, maximum_drop=0.02),
    endpoint=Endpoint(deadline_seconds=60),
    poll_seconds=20,
    defaults=Defaults(source="toy", trials=3, parallel_trials=5),
)
TEST, VALID = FINAL_TEST_ACCURACY.name, FINAL_VALID_ACCURACY.name


def run(aws: FakeAws, given: dict[str, Any] | None = None, settings: Settings = SETTINGS) -> Execution:
    return Machine(definition(facts_of(settings)), aws.tasks()).run(given)


def jobs(aws: FakeAws) -> list[str]:
    """Return the steps whose jobs were created."""
    names = [request["TrainingJobName"] for request in aws.requests.get("createTrainingJob", [])]
    return [name.split("-")[2] for name in names]


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


def test_an_execution_of_every_stage_ends_with_a_deployed_model(facts: Facts, aws: FakeAws) -> None:
    execution = Machine(definition(facts), aws.tasks()).run()
    assert execution.status == "SUCCEEDED", execution.cause
    assert jobs(aws) == ["prepare", "features", "train"]
    visited = list(dict.fromkeys(name.split(": ")[0] for name in execution.path))
    assert visited == [str(step) for step in Step]


def test_the_output_says_everything_that_was_agreed(aws: FakeAws) -> None:
    output = run(aws).output
    assert output["fingerprint"] == SUMMARY["fingerprint"]
    assert output["data"] == SUMMARY
    assert output["metrics"] == {VALID: 0.91, TEST: 0.9}
    assert output["hyperparameters"] == {"lr": "0.02", "batch-size": "64", "epochs": "7"}
    assert output["model_uri"].endswith("/output/model.tar.gz")
    assert output["output_uri"] == output["model_uri"].replace("model.tar.gz", "output.tar.gz")
    assert output["prepared_uri"].startswith("s3://bucket/prepared/pedigree-dev-prepare-")
    assert output["features_uri"].startswith("s3://bucket/features/pedigree-dev-features-")
    assert output["sample"] == aws.sample
    assert output["resumed"] is False
    assert output["endpoint_name"] == "pedigree-dev"
    assert output["api_url"] == "https://api.example.com/v1"
    assert output["tuning_job_name"].startswith("pedigree-dev-")
    assert output["training_job_name"].startswith("pedigree-dev-train-")


def test_requests_fit_sagemaker_for_the_longest_stage_name(aws: FakeAws) -> None:
    assert run(aws, settings=Settings(stage="a" * 10, image="x")).status == "SUCCEEDED"


def test_an_output_of_a_hundred_trials_is_far_below_the_payload_limit(aws: FakeAws) -> None:
    execution = run(aws, {"trials": 100})
    assert len(json.dumps(execution.output)) < 16 * 1024


def test_the_best_hyperparameters_reach_the_training(aws: FakeAws) -> None:
    run(aws, {"seed": 7})
    train = aws.requests["createTrainingJob"][-1]["HyperParameters"]
    assert parse_hyperparameters(train).lr == 0.02
    assert train["seed"] == "7"
    assert train["sagemaker_program"] == "training/train_model.py"
    assert "fine-tune-epochs" not in train


@pytest.mark.parametrize("epochs", [0, 3])
def test_given_epochs_are_those_of_the_fine_tuning(aws: FakeAws, epochs: int) -> None:
    run(aws, {"epochs": epochs})
    assert aws.requests["createTrainingJob"][-1]["HyperParameters"]["fine-tune-epochs"] == str(epochs)


def test_the_stage_s_epochs_hold_where_the_input_gives_none(aws: FakeAws) -> None:
    run(aws, {"epochs": None}, Settings(image="x", defaults=Defaults(epochs=2)))
    assert aws.requests["createTrainingJob"][-1]["HyperParameters"]["fine-tune-epochs"] == "2"


def test_not_more_trials_run_at_a_time_than_there_are(aws: FakeAws) -> None:
    run(aws)
    limits = aws.requests["createHyperParameterTuningJob"][0]["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert limits == {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}


def test_a_spot_job_waits_at_least_as_long_as_it_may_run(aws: FakeAws) -> None:
    spot = Job(instance_type="ml.g4dn.xlarge", spot=True, max_runtime_seconds=600, spot_wait_seconds=60)
    run(aws, settings=Settings(image="x", jobs=Jobs(train=spot)))
    train = aws.requests["createTrainingJob"][-1]
    assert train["EnableManagedSpotTraining"] is True
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 660}
    assert train["CheckpointConfig"]["S3Uri"].startswith("s3://bucket/checkpoints/")


def test_tuning_json_holds_the_trials_and_is_a_channel_of_the_training(aws: FakeAws) -> None:
    run(aws)
    (key,) = [key for key in aws.objects if key.startswith("tuning/")]
    record = aws.objects[key]
    assert record["trials"] == [
        {"name": "t-001", "status": "Completed", "objective": 0.9, "hyperparameters": {"lr": "0.02"}}
    ]
    assert record.keys() == {"tuning_job_name", "hyperparameters", "trials", "features_uri"}
    channels = {c["ChannelName"]: c for c in aws.requests["createTrainingJob"][-1]["InputDataConfig"]}
    assert channels["tuning"]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://bucket/{key}"
    assert channels.keys() == {"prepared", "features", "tuning"}


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"trials": 0}, '"trials" must be a whole number from 1 to 100, got 0'),
        ({"trials": 2.5}, "got 2.5"),
        ({"trials": "4"}, "got 4"),
        ({"backbone": "vgg16"}, "must be one of auto, resnet50, efficientnet_lite0, got vgg16"),
        ({"source": ""}, '"source" must be "toy"'),
        ({"source": 3}, "got 3"),
        ({"seed": -1}, '"seed" must be a whole number from 0, got -1'),
        ({"epochs": 1.5}, '"epochs" must be a whole number from 0, got 1.5'),
        ({"epochs": -1}, "got -1"),
    ],
)
def test_a_wrong_input_is_refused_before_anything_is_started(aws: FakeAws, given: dict[str, Any], part: str) -> None:
    execution = run(aws, given)
    assert (execution.status, execution.error) == ("FAILED", "Pedigree.Prepare")
    assert part in execution.cause
    assert not aws.calls


# Skipping and resuming


def test_the_same_content_addressed_source_is_prepared_once(aws: FakeAws) -> None:
    first = run(aws, {"source": "s3://b/x.zip", "source_fingerprint": "abc"})
    second = run(aws, {"source": "s3://b/x.zip", "source_fingerprint": "abc"})
    assert jobs(aws).count("prepare") == 1
    assert second.output["prepared_uri"] == first.output["prepared_uri"]
    assert second.output["data"] == SUMMARY


def test_the_drawn_photos_are_prepared_once(aws: FakeAws) -> None:
    run(aws)
    run(aws)
    assert jobs(aws).count("prepare") == 1


@pytest.mark.parametrize("change", [{"source_fingerprint": "def"}, {"seed": 1}])
def test_another_source_or_seed_is_prepared_anew(aws: FakeAws, change: dict[str, Any]) -> None:
    given = {"source": "s3://b/x.zip", "source_fingerprint": "abc", "seed": 0}
    run(aws, given)
    run(aws, given | change)
    assert jobs(aws).count("prepare") == 2


def test_a_source_without_a_fingerprint_is_prepared_every_time(aws: FakeAws) -> None:
    for _ in range(2):
        run(aws, {"source": "https://example.com/dogs.zip"})
    assert jobs(aws).count("prepare") == 2


def test_prepared_photos_that_were_deleted_are_prepared_again(aws: FakeAws) -> None:
    run(aws)
    for key in [key for key in aws.objects if key.startswith("prepared/")]:
        del aws.objects[key]
    assert run(aws).status == "SUCCEEDED"
    assert jobs(aws).count("prepare") == 2


def _kill_training(aws: FakeAws) -> Execution:
    reason = {"TrainingJobName": "x", "TrainingJobStatus": "Failed", "FailureReason": "killed by SIGKILL (signal 9)"}
    aws.failures["train"] = TaskError("States.TaskFailed", reason)
    execution = run(aws)
    del aws.failures["train"]
    return execution


def test_a_training_that_died_is_taken_up_by_the_next_execution(aws: FakeAws) -> None:
    failed = _kill_training(aws)
    assert (failed.error, failed.cause) == ("Pedigree.Train", "Train: killed by SIGKILL (signal 9)")
    resumed = run(aws)
    assert resumed.status == "SUCCEEDED"
    assert resumed.output["resumed"] is True
    assert jobs(aws) == ["prepare", "features", "train", "train"]
    assert aws.calls.count("createHyperParameterTuningJob") == 1
    first, second = aws.requests["createTrainingJob"][-2:]
    assert first["CheckpointConfig"] == second["CheckpointConfig"]
    assert first["TrainingJobName"] != second["TrainingJobName"]
    assert first["HyperParameters"] == second["HyperParameters"]
    assert first["InputDataConfig"] == second["InputDataConfig"]


def test_a_resumed_training_that_dies_again_can_be_resumed_again(aws: FakeAws) -> None:
    _kill_training(aws)
    _kill_training(aws)
    assert run(aws).output["resumed"] is True
    assert len({r["CheckpointConfig"]["S3Uri"] for r in aws.requests["createTrainingJob"][-3:]}) == 1


@pytest.mark.parametrize("change", [{"trials": 9}, {"seed": 1}, {"backbone": "resnet50"}, {"epochs": 1}])
def test_another_input_does_not_resume(aws: FakeAws, change: dict[str, Any]) -> None:
    _kill_training(aws)
    assert run(aws, change).output["resumed"] is False


def test_nothing_is_resumed_after_a_training_that_succeeded(aws: FakeAws) -> None:
    run(aws)
    assert not [key for key in aws.objects if key.startswith("resume/")]
    assert run(aws).output["resumed"] is False


# Failing


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


# The gate


def test_a_model_below_the_floor_is_stopped_with_the_reason(aws: FakeAws) -> None:
    aws.metrics[TEST] = 0.412
    execution = run(aws)
    assert execution.error == "Pedigree.Gate"
    assert execution.cause == "Gate: the test accuracy of 41.2 % is below the required 60.0%"
    assert "createModel" not in aws.calls


def test_a_model_at_the_floor_passes(aws: FakeAws) -> None:
    aws.metrics[TEST] = 0.6
    assert run(aws).status == "SUCCEEDED"


def test_a_training_without_a_test_accuracy_is_stopped(aws: FakeAws) -> None:
    aws.metrics = {"train:loss": 0.1}
    assert run(aws).cause == f"Gate: the training reported no {TEST}"


def test_a_model_clearly_worse_than_production_on_the_same_data_is_stopped(aws: FakeAws) -> None:
    first = run(aws)
    aws.metrics[TEST] = 0.85
    cause = run(aws).cause
    assert "the test accuracy of 85 % is more than 2.0 points below the 90 %" in cause
    assert first.output["training_job_name"] in cause


def test_every_reason_is_given(aws: FakeAws) -> None:
    run(aws)
    aws.metrics[TEST] = 0.1
    assert run(aws).cause.count(";") == 1


@pytest.mark.parametrize("accuracy", [0.88, 0.95])
def test_a_model_about_as_good_as_production_passes(aws: FakeAws, accuracy: float) -> None:
    run(aws)
    aws.metrics[TEST] = accuracy
    assert run(aws).status == "SUCCEEDED"


def test_other_data_are_not_compared(aws: FakeAws) -> None:
    run(aws)
    aws.objects["production/model.json"]["fingerprint"] = "f0"
    aws.metrics[TEST] = 0.7
    assert run(aws).status == "SUCCEEDED"


# The endpoint


def serving(config: str, status: str = "InService") -> dict[str, str]:
    return {"EndpointStatus": status, "EndpointConfigName": config}


class UpdatingAws(FakeAws):
    """An endpoint that exists, and what DescribeEndpoint says after the update; "{ours}" is the new config."""

    def __init__(self, *after: dict[str, str], before: tuple[dict[str, str] | None, ...] = ()) -> None:
        super().__init__()
        self.endpoint = list(before) or [serving("old")]
        self.after = after

    def _change_endpoint(self, request: Any) -> Any:
        ours = request["EndpointConfigName"]
        self.endpoint = [json.loads(json.dumps(each).replace("{ours}", ours)) for each in copy.deepcopy(self.after)]
        return {"EndpointArn": "arn"}


def test_an_absent_endpoint_is_created(aws: FakeAws) -> None:
    run(aws)
    assert "createEndpoint" in aws.calls
    assert "updateEndpoint" not in aws.calls


def test_an_endpoint_in_service_is_updated_blue_green() -> None:
    aws = UpdatingAws(serving("old", "Updating"), serving("{ours}"))
    assert run(aws).status == "SUCCEEDED"
    assert "BlueGreenUpdatePolicy" in aws.requests["updateEndpoint"][0]["DeploymentConfig"]
    assert "createEndpoint" not in aws.calls


def test_a_silent_rollback_is_an_error() -> None:
    aws = UpdatingAws(serving("old", "RollingBack"), serving("old"))
    assert run(aws).cause == "Deploy: the endpoint pedigree-dev went back to old: no reason was given"


def test_a_failed_endpoint_fails_with_its_reason() -> None:
    aws = UpdatingAws(serving("{ours}", "Failed") | {"FailureReason": "did not pass the ping health check"})
    assert run(aws).cause == "Deploy: the endpoint pedigree-dev ended Failed: did not pass the ping health check"


def test_an_endpoint_that_never_gets_ready_is_given_up_at_the_deadline() -> None:
    aws = UpdatingAws(serving("old", "Updating"))
    execution = run(aws)
    assert execution.cause == "Deploy: the endpoint pedigree-dev was still Updating after 60 seconds"
    assert 60 < execution.waited <= 80


def test_an_endpoint_whose_creation_failed_is_replaced() -> None:
    aws = UpdatingAws(serving("{ours}"), before=(serving("old", "Failed"), serving("old", "Deleting"), None))
    assert run(aws).status == "SUCCEEDED"
    assert aws.calls.index("deleteEndpoint") < aws.calls.index("createEndpoint")


def test_an_earlier_change_is_waited_for() -> None:
    aws = UpdatingAws(serving("{ours}"), before=(serving("old", "Updating"), serving("other")))
    assert run(aws).status == "SUCCEEDED"
    assert "updateEndpoint" in aws.calls


def test_an_earlier_change_that_does_not_end_is_given_up_at_the_deadline() -> None:
    aws = UpdatingAws(before=(serving("old", "Updating"),))
    assert run(aws).cause == "Deploy: the endpoint pedigree-dev was still Updating when the deadline passed"


def test_another_error_of_describe_endpoint_is_no_absence(aws: FakeAws) -> None:
    aws.failures["describeEndpoint"] = TaskError(NO_ENDPOINT.error, "User is not authorized")
    assert run(aws).cause == "Deploy: SageMaker.SageMakerException: User is not authorized"
    assert "createEndpoint" not in aws.calls


def test_production_is_recorded_only_after_the_smoke_test(aws: FakeAws) -> None:
    aws.failures["invoke"] = TaskError("SmokeTestError", {"errorMessage": "answered 500"})
    run(aws)
    assert "production/model.json" not in aws.objects
    del aws.failures["invoke"]
    output = run(aws).output
    record = aws.objects["production/model.json"]
    assert record["training_job_name"] == output["training_job_name"]
    assert record["fingerprint"] == output["fingerprint"]
    assert record["metrics"] == output["metrics"]
