"""State machines: jobs that are waited for, aws-sdk calls, and the role that both are made under."""

import json
import time
from typing import Any

import pytest

from tests.local_cloud.conftest import IMAGE, RunningCloud, allow

_RULES = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
_JOBS = ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"]


class Machines:
    """Runs state machines of one state, each under its own role."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.job_role = cloud.role("states-job", "sagemaker.amazonaws.com", allow("s3:*"))
        self.count = 0
        cloud.client("s3").create_bucket(Bucket="states")

    def start(self, state: dict[str, Any], *statements: dict[str, Any], principal: str = "states.amazonaws.com") -> str:
        self.count += 1
        role = self.cloud.role(f"states-{self.count}", principal, *statements)
        definition = {"QueryLanguage": "JSONata", "StartAt": "Task", "States": {"Task": {"Type": "Task", **state}}}
        states = self.cloud.client("stepfunctions")
        machine = states.create_state_machine(
            name=f"machine-{self.count}", definition=json.dumps(definition), roleArn=role
        )
        execution: str = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
        return execution

    def wait(self, execution: str) -> Any:
        states = self.cloud.client("stepfunctions")
        deadline = time.monotonic() + 30
        while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, "the execution does not end"
            time.sleep(0.1)
        return found

    def run(self, state: dict[str, Any], *statements: dict[str, Any], **options: str) -> Any:
        return self.wait(self.start(state, *statements, **options))

    def job(self, name: str, **environment: str) -> dict[str, Any]:
        """Return a state that runs a training job."""
        arguments = {
            "TrainingJobName": name,
            "RoleArn": self.job_role,
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
            },
            "OutputDataConfig": {"S3OutputPath": "s3://states/out"},
            "ResourceConfig": {"InstanceCount": 1.0, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "Environment": environment,
        }
        resource = "arn:aws:states:::sagemaker:createTrainingJob.sync"
        return {"Resource": resource, "Arguments": arguments, "End": True}

    def allowed(self) -> list[dict[str, Any]]:
        """Return what a role needs to run training jobs."""
        return [allow(_JOBS), allow(_RULES), allow("iam:PassRole", self.job_role)]

    def status(self, job: str) -> str:
        found: str = self.cloud.client("sagemaker").describe_training_job(TrainingJobName=job)["TrainingJobStatus"]
        return found


@pytest.fixture(scope="session")
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


def _call(operation: str, **arguments: Any) -> dict[str, Any]:
    return {"Resource": f"arn:aws:states:::aws-sdk:{operation}", "Arguments": arguments, "End": True}


def test_a_training_job_is_waited_for_and_described(machines: Machines) -> None:
    found = machines.run(machines.job("first"), *machines.allowed())
    assert found["status"] == "SUCCEEDED", found
    output = json.loads(found["output"])
    assert output["TrainingJobStatus"] == "Completed"
    assert output["FinalMetricDataList"][0]["Value"] == 0.75
    assert isinstance(output["TrainingEndTime"], int)  # epoch milliseconds, as in every optimized integration
    assert output["ModelArtifacts"]["S3ModelArtifacts"].startswith("s3://states/out/first/")


def test_the_history_names_the_job_as_on_aws(machines: Machines) -> None:
    execution = machines.start(machines.job("historic"), *machines.allowed())
    machines.wait(execution)
    history = machines.cloud.client("stepfunctions").get_execution_history(executionArn=execution)["events"]
    scheduled = next(event for event in history if event["type"] == "TaskScheduled")["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == ("sagemaker", "createTrainingJob.sync")
    assert json.loads(scheduled["parameters"])["TrainingJobName"] == "historic"
    submitted = next(event for event in history if event["type"] == "TaskSubmitted")["taskSubmittedEventDetails"]
    assert json.loads(submitted["output"])["TrainingJobArn"].endswith("training-job/historic")


def test_a_failed_job_fails_the_task_and_is_described_in_the_cause(machines: Machines) -> None:
    found = machines.run(machines.job("failing", FAIL="no photos"), *machines.allowed())
    assert found["error"] == "States.TaskFailed"
    assert "no photos" in json.loads(found["cause"])["FailureReason"]


def test_stopping_an_execution_stops_its_job(machines: Machines) -> None:
    execution = machines.start(machines.job("stopped", SECONDS="600"), *machines.allowed())
    deadline = time.monotonic() + 20
    jobs = machines.cloud.client("sagemaker")
    while not jobs.list_training_jobs(NameContains="stopped", StatusEquals="InProgress")["TrainingJobSummaries"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    machines.cloud.client("stepfunctions").stop_execution(executionArn=execution)
    while machines.status("stopped") not in ("Stopping", "Stopped"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert machines.wait(execution)["status"] == "ABORTED"


def test_a_state_that_times_out_stops_its_job(machines: Machines) -> None:
    state = {**machines.job("slow", SECONDS="600"), "TimeoutSeconds": 1}
    found = machines.run(state, *machines.allowed())
    assert found["error"] == "States.Timeout"
    assert machines.status("slow") in ("Stopping", "Stopped")


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        ("sagemaker:CreateTrainingJob", "SageMaker.AmazonSageMakerException"),
        ("iam:PassRole", "SageMaker.AmazonSageMakerException"),
        ("events:PutRule", "States.Runtime"),
    ],
)
def test_a_role_that_lacks_a_permission_is_refused_by_its_name(machines: Machines, missing: str, error: str) -> None:
    actions = {*_JOBS, *_RULES, "iam:PassRole"} - {missing}
    found = machines.run(machines.job(f"refused-{machines.count}"), allow(sorted(actions)))
    assert found["status"] == "FAILED"
    assert found["error"] == error
    assert f"not authorized to perform: {missing}" in found["cause"]


def test_a_role_that_does_not_trust_step_functions_is_refused(machines: Machines) -> None:
    found = machines.run(_call("s3:listBuckets"), allow("*"), principal="lambda.amazonaws.com")
    assert "states.amazonaws.com" in found["cause"]


def test_json_is_stored_as_text_and_read_back(machines: Machines) -> None:
    put = machines.run(_call("s3:putObject", Bucket="states", Key="a.json", Body={"n": 1}), allow("s3:PutObject"))
    assert put["status"] == "SUCCEEDED"
    got = json.loads(machines.run(_call("s3:getObject", Bucket="states", Key="a.json"), allow("s3:*"))["output"])
    assert json.loads(got["Body"]) == {"n": 1}
    assert got["LastModified"].endswith("Z")


@pytest.mark.parametrize("operation", ["s3:getObject", "s3:headObject"])
def test_a_missing_object_is_named_as_the_sdk_names_it(machines: Machines, operation: str) -> None:
    found = machines.run(_call(operation, Bucket="states", Key="missing"), allow("s3:*"))
    assert found["error"] == "S3.NoSuchKeyException"


def test_a_refused_object_is_named_as_the_sdk_names_it(machines: Machines) -> None:
    found = machines.run(_call("s3:deleteObject", Bucket="states", Key="a"), allow("s3:GetObject"))
    assert found["error"] == "S3.S3Exception"
    assert "s3:DeleteObject" in found["cause"]


def test_an_unknown_endpoint_is_a_sagemaker_exception(machines: Machines) -> None:
    found = machines.run(_call("sagemaker:describeEndpoint", EndpointName="none"), allow("sagemaker:*"))
    assert found["error"] == "SageMaker.SageMakerException"
    assert "ValidationException" in found["cause"]


def test_an_operation_that_aws_does_not_have_is_told(machines: Machines) -> None:
    found = machines.run(_call("s3:getEverything"), allow("*"))
    assert found["error"] == "States.Runtime"
    assert "getEverything" in found["cause"]


def test_a_result_larger_than_aws_takes_fails_the_task(machines: Machines) -> None:
    machines.cloud.client("s3").put_object(Bucket="states", Key="large", Body=b"x" * 300_000)
    found = machines.run(_call("s3:getObject", Bucket="states", Key="large"), allow("s3:*"))
    assert found["error"] == "States.DataLimitExceeded"


def test_the_history_tells_what_a_state_assigned(machines: Machines) -> None:
    state = {**_call("s3:listBuckets"), "Assign": {"count": "{% $count($states.result.Buckets) %}"}}
    found = machines.run(state, allow("s3:ListAllMyBuckets"))
    history = machines.cloud.client("stepfunctions").get_execution_history(executionArn=found["executionArn"])
    (exited,) = [event for event in history["events"] if event["type"] == "TaskStateExited"]
    assert int(exited["stateExitedEventDetails"]["assignedVariables"]["count"]) > 0
