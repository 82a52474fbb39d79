"""What a service does at its start and its end, and how it answers on the wire."""

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_cloud.sagemaker.processes import end_orphans, identity_of
from local_cloud.sagemaker.service import ServiceError
from tests.local_cloud.sagemaker.stand_in import Cloud, MemoryS3, Server, job_request, new_cloud, wait_for, write_image

ENDLESS = "print('pid', os.getpid(), flush=True)\nwhile True: time.sleep(0.05)"


def started_job(cloud: Cloud, name: str) -> psutil.Process:
    cloud.service.handle("CreateTrainingJob", job_request(name, ENDLESS))
    return psutil.Process(int(wait_for(lambda: cloud.log_of(name))[0].split()[1]))


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def describe(cloud: Cloud, name: str) -> dict[str, Any]:
    return cloud.service.handle("DescribeTrainingJob", {"TrainingJobName": name})


def test_stopping_the_service_ends_its_jobs_and_says_so(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    cloud = new_cloud(tmp_path, s3)
    cloud.service.start()
    process = started_job(cloud, "cut")
    cloud.service.stop()
    assert ended(process)
    job = describe(cloud, "cut")
    assert job["FailureReason"] == "InternalServerError: the local SageMaker was stopped while the job ran"
    assert list((tmp_path / "state" / "jobs").iterdir()) == []


def test_a_job_that_comes_while_the_service_ends_starts_no_process(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    cloud = new_cloud(tmp_path, s3)
    cloud.service.start()
    cloud.service.stop()
    cloud.service.handle("CreateTrainingJob", job_request("late", "print('started')"))
    job = wait_for(lambda: job if (job := describe(cloud, "late"))["TrainingJobStatus"] == "Failed" else None)
    assert job["FailureReason"] == "InternalServerError: the local SageMaker was stopped while the job ran"
    assert cloud.log_of("late") == []


def test_a_job_that_ran_at_a_crash_is_failed_and_its_processes_end(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    crashed = new_cloud(tmp_path, s3)
    crashed.service.start()
    process = started_job(crashed, "cut")
    record = tmp_path / "state" / "records" / "training-job" / "cut.json"
    wait_for(lambda: "process" in json.loads(record.read_text())["private"])
    # A copy: the service that stands for the crashed one goes on writing into its own folder.
    shutil.copytree(tmp_path / "state", tmp_path / "left")
    again = new_cloud(tmp_path, s3, state_dir=tmp_path / "left")
    again.service.start()
    assert ended(process)
    job = describe(again, "cut")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "InternalServerError: the local SageMaker ended while the job ran"
    assert not (tmp_path / "left" / "jobs").exists()
    crashed.service.stop()
    again.service.stop()


def test_what_is_known_survives_a_restart(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    first = new_cloud(tmp_path, s3)
    with Server(first):
        first.train("done", "print('accuracy=0.5;')")
        before = first.job("done")
    second = new_cloud(tmp_path, s3)
    with Server(second):
        after = second.job("done")
    assert {**before, "ResponseMetadata": None} == {**after, "ResponseMetadata": None}


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path, s3: MemoryS3) -> None:
    broken = tmp_path / "state" / "records" / "model" / "m.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    with pytest.raises(ValueError, match=r"model/m\.json is no record of the local SageMaker"):
        new_cloud(tmp_path, s3).service.start()


def test_a_later_process_with_the_same_number_is_spared() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        identity = identity_of(other.pid)
        end_orphans({**identity, "started": identity["started"] + 100}, 1)
        assert other.poll() is None
        other.kill()


def test_a_role_that_cannot_be_assumed_refuses_the_job(tmp_path: Path, s3: MemoryS3) -> None:
    def refuse(role: str, _: str) -> dict[str, str]:
        raise ServiceError("ValidationException", f"Could not assume role {role}.")

    cloud = new_cloud(tmp_path, s3, credentials_for=refuse)
    cloud.service.start()
    with pytest.raises(ServiceError, match="Could not assume role"):
        cloud.service.handle("CreateTrainingJob", job_request("refused", ""))
    with pytest.raises(ServiceError, match="Requested resource not found"):
        describe(cloud, "refused")


def post(cloud: Cloud, target: str, body: bytes) -> dict[str, Any]:
    url = cloud.sagemaker.meta.endpoint_url
    request = urllib.request.Request(url, body, {"X-Amz-Target": target})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as response:
        answer: dict[str, Any] = json.loads(response.read())
    return answer


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("SageMaker.CreateDogs", b"{}", "UnknownOperationException"),
        ("SageMaker.CreateProcessingJob", b"{}", "ValidationException"),
        ("SageMaker.ListProcessingJobs", b"{}", "UnknownOperationException"),
        ("Other.ListModels", b"{}", "UnknownOperationException"),
        ("SageMaker.ListModels", b"{", "SerializationException"),
        ("SageMaker.ListModels", b"[]", "ValidationException"),
    ],
)
def test_requests_that_cannot_be_understood_are_refused(cloud: Cloud, target: str, body: bytes, code: str) -> None:
    assert post(cloud, target, body)["__type"] == code


def test_timestamps_are_epoch_seconds_on_the_wire(cloud: Cloud) -> None:
    cloud.train("timed", "")
    cloud.job("timed")
    body = json.dumps({"TrainingJobName": "timed"}).encode()
    headers = {"X-Amz-Target": "SageMaker.DescribeTrainingJob"}
    with urllib.request.urlopen(urllib.request.Request(cloud.sagemaker.meta.endpoint_url, body, headers)) as response:
        created = json.loads(response.read())["CreationTime"]
    assert isinstance(created, float)
    assert 1.7e9 < created < 1e11
