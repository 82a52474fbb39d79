"""The process as a whole: who may come in, what outlives a restart, what is left behind."""

import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import IMAGE, RunningCloud, allow


def _code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def _job(name: str, role: str, bucket: str, **environment: str) -> dict[str, object]:
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Environment": environment,
    }


def test_the_right_key_is_the_developers(cloud: RunningCloud) -> None:
    assert cloud.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:user/developer"


def test_the_right_key_with_a_wrong_secret_is_refused(cloud: RunningCloud) -> None:
    with pytest.raises(ClientError) as error:
        cloud.client("s3", aws_secret_access_key="wrong").list_buckets()
    assert _code(error) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("key", ["AKIAAAAAAAAAAAAAAAAA", "test", "000000000000", "must-not-matter"])
def test_keys_that_nobody_was_given_are_refused(cloud: RunningCloud, key: str) -> None:
    with pytest.raises(ClientError) as error:
        cloud.client("sagemaker", aws_access_key_id=key).list_training_jobs()
    assert _code(error) == "UnrecognizedClientException"


@pytest.mark.parametrize("path", ["reset", "config"])
def test_nobody_can_wipe_the_state_without_credentials(cloud: RunningCloud, path: str) -> None:
    context = ssl.create_default_context(cafile=cloud.connection["ca_bundle"])
    request = urllib.request.Request(f"{cloud.connection['endpoint']}/_ministack/{path}", b"{}")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, context=context)
    assert error.value.code == 403
    error.value.close()


def test_an_object_comes_back_as_it_was_put(cloud: RunningCloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="round-trip")
    body = os.urandom(300_000)
    s3.put_object(Bucket="round-trip", Key="a b/ü.bin", Body=body)
    assert s3.get_object(Bucket="round-trip", Key="a b/ü.bin")["Body"].read() == body


def test_nobody_else_may_read_the_state(cloud: RunningCloud) -> None:
    assert cloud.state.stat().st_mode & 0o077 == 0


def test_a_role_without_the_permission_is_refused_by_the_name_of_the_action(cloud: RunningCloud) -> None:
    # Assumed through STS by the developer, as a person would; trusted by the account.
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="onlooker", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sagemaker:ListTrainingJobs")]})
    iam.put_role_policy(RoleName="onlooker", PolicyName="all", PolicyDocument=document)
    session = cloud.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me")["Credentials"]
    onlooker = cloud.client(
        "sagemaker",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    assert isinstance(onlooker.list_training_jobs()["TrainingJobSummaries"], list)
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:StopTrainingJob") as error:
        onlooker.stop_training_job(TrainingJobName="a")
    assert _code(error) == "AccessDeniedException"


def test_a_role_that_does_not_trust_sagemaker_cannot_be_given_to_a_job(cloud: RunningCloud) -> None:
    role = cloud.role("not-for-jobs", "lambda.amazonaws.com", allow("*"))
    with pytest.raises(ClientError, match=r"allows principal 'sagemaker\.amazonaws\.com'") as error:
        cloud.client("sagemaker").create_training_job(**_job("untrusted", role, "round-trip"))
    assert _code(error) == "ValidationException"


def test_a_jobs_lines_can_be_read_in_cloudwatch_logs(cloud: RunningCloud) -> None:
    cloud.client("s3").create_bucket(Bucket="logged")
    role = cloud.role("logged-job", "sagemaker.amazonaws.com", allow(["s3:*", "logs:*"]))
    sagemaker, logs = cloud.client("sagemaker"), cloud.client("logs")
    sagemaker.create_training_job(**_job("logged", role, "logged"))
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName="logged", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    found = logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="logged/")
    assert any("score=0.75" in event["message"] for event in found["events"])


def test_state_outlives_a_restart(own_cloud: RunningCloud) -> None:
    own_cloud.start()
    own_cloud.client("s3").create_bucket(Bucket="kept")
    own_cloud.client("s3").put_object(Bucket="kept", Key="a", Body=b"1")
    own_cloud.role("kept", "sagemaker.amazonaws.com", allow("*"))
    assert own_cloud.stop() == 0
    own_cloud.start()
    assert own_cloud.client("s3").get_object(Bucket="kept", Key="a")["Body"].read() == b"1"
    assert own_cloud.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    assert own_cloud.stop() == 0


def test_a_signal_ends_jobs_and_all_and_leaves_no_connection(own_cloud: RunningCloud) -> None:
    own_cloud.start()
    own_cloud.client("s3").create_bucket(Bucket="bucket")
    role = own_cloud.role("job", "sagemaker.amazonaws.com", allow("*"))
    own_cloud.client("sagemaker").create_training_job(**_job("endless", role, "bucket", SECONDS="600"))
    assert own_cloud.process is not None
    this = psutil.Process(own_cloud.process.pid)
    deadline = time.monotonic() + 10
    while not (children := this.children(recursive=True)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    assert own_cloud.stop(signal.SIGINT) == 0
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert not (own_cloud.state / "connection.json").exists()


def test_it_ends_with_its_standard_input(own_cloud: RunningCloud) -> None:
    own_cloud.start("--exit-with-stdin")
    assert own_cloud.process is not None
    assert own_cloud.process.stdin is not None
    own_cloud.process.stdin.close()
    own_cloud.process.stdin = None
    assert own_cloud.wait() == 0
    assert not (own_cloud.state / "connection.json").exists()


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6, 1.2])
def test_a_signal_while_it_starts_ends_it_cleanly(own_cloud: RunningCloud, seconds: float) -> None:
    own_cloud.launch()
    while not (own_cloud.state / "lock").exists():
        time.sleep(0.01)
    time.sleep(seconds)
    assert own_cloud.stop(signal.SIGTERM) == 0
    assert not (own_cloud.state / "connection.json").exists()


# Does to a signal what Python does to one that arrives in a weak reference's callback.
_DEAF = """
import os, signal, sys, time
from local_cloud import server
from local_cloud.__main__ import main
plain = server._compose
def compose(*arguments):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    except BaseException:
        pass
    return plain(*arguments)
server._compose = compose
sys.exit(main(sys.argv[1:]))
"""


def test_a_signal_that_is_lost_in_an_import_ends_it_all_the_same(own_cloud: RunningCloud) -> None:
    python, _, _, *options = own_cloud.command()
    ended = subprocess.run([python, "-c", _DEAF, *options], cwd=Path(__file__).parents[2], timeout=60)
    assert ended.returncode == 0
    assert not (own_cloud.state / "connection.json").exists()


def test_a_busy_port_and_a_busy_folder_are_told_before_anything_starts(
    cloud: RunningCloud, fake_image: Path, tmp_path: Path
) -> None:
    same_port = RunningCloud(tmp_path / "state", fake_image, ports=[cloud.ports[0], cloud.ports[1]])
    same_folder = RunningCloud(cloud.state, fake_image)
    for command, message in (
        (same_port.command(), f"port {cloud.ports[0]}"),
        (same_folder.command(), "another local cloud"),
    ):
        ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=30)
        assert ended.returncode == 1
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr
    assert (cloud.state / "connection.json").exists()
