import io
import tarfile
import time
from types import SimpleNamespace

import psutil
import pytest
from botocore.exceptions import ClientError

from local_cloud.sagemaker import training_run
from tests.local_cloud.sagemaker.stand_in import ROLE, Cloud, channel, wait_for

ENDLESS = "print('started', flush=True)\nwhile True: time.sleep(0.05)"
# A child that outlives its parent unless the whole group is ended; its number goes to the log.
WITH_CHILD = "child = subprocess.Popen(['sleep', '600'])\nprint('child', child.pid, flush=True)\n"


def members(packed: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for entry in archive:
            content = archive.extractfile(entry)
            assert content is not None
            found[entry.name] = content.read()
    return found


def child_of(cloud: Cloud, name: str) -> int:
    """Return the number of the child's process, which may have ended already."""
    (line,) = wait_for(lambda: [line for line in cloud.log_of(name) if line.startswith("child ")])
    return int(line.split()[1])


def ended(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_job_runs_its_image_and_leaves_its_model_in_s3(cloud: Cloud) -> None:
    cloud.train("first", "(base / 'model' / 'weights').write_text('42')")
    job = cloud.job("first")
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://bucket/models/first/output/model.tar.gz"
    assert members(cloud.s3.objects["bucket/models/first/output/model.tar.gz"]) == {"weights": b"42"}
    assert "bucket/models/first/output/output.tar.gz" not in cloud.s3.objects
    assert [transition["Status"] for transition in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert all("EndTime" in transition for transition in job["SecondaryStatusTransitions"])
    assert not (cloud.config.state_dir / "jobs" / "first").exists()


def test_output_data_becomes_output_tar_gz(cloud: Cloud) -> None:
    cloud.train("out", "(base / 'output/data/report.html').write_text('fine')")
    cloud.job("out")
    assert members(cloud.s3.objects["bucket/models/out/output/output.tar.gz"]) == {"report.html": b"fine"}


def test_the_same_files_make_the_same_archive(cloud: Cloud) -> None:
    for name in ("one", "two"):
        cloud.train(name, "(base / 'model/b').write_text('1'); time.sleep(0.02); (base / 'model/a').write_text('2')")
        cloud.job(name)
    packed = [cloud.s3.objects[f"bucket/models/{name}/output/model.tar.gz"] for name in ("one", "two")]
    assert packed[0] == packed[1]


def test_an_uncompressed_output_is_the_next_jobs_channel(cloud: Cloud) -> None:
    output = {"S3OutputPath": "s3://bucket/prepared", "CompressionType": "NONE"}
    script = "(base / 'model/train').mkdir(); [(base / f'model/train/{n}').write_text(str(n)) for n in range(5)]"
    cloud.train("prepare", script, OutputDataConfig=output)
    where = cloud.job("prepare")["ModelArtifacts"]["S3ModelArtifacts"]
    assert where == "s3://bucket/prepared/prepare/output/model"
    for number, uri in enumerate((where, where + "/")):
        script = "print('read', sorted(p.read_text() for p in (base / 'input/data/photos/train').iterdir()))"
        cloud.train(f"use-{number}", script, InputDataConfig=[channel("photos", uri)])
        cloud.job(f"use-{number}")
        assert "read ['0', '1', '2', '3', '4']" in cloud.log_of(f"use-{number}")


def test_a_container_gets_its_configuration_credentials_and_environment(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    cloud.s3.objects["bucket/one.csv"] = b"1"
    script = """
print(json.loads((base / 'input/config/resourceconfig.json').read_text())['hosts'])
print(json.loads((base / 'input/config/inputdataconfig.json').read_text())['table']['TrainingInputMode'])
print(*(os.environ.get(n) for n in ('TRAINING_JOB_NAME', 'AWS_ACCESS_KEY_ID', 'AWS_ENDPOINT_URL', 'AWS_PROFILE', 'X')))
print((base / 'input/data/table/one.csv').read_text())
"""
    inputs = [channel("table", "s3://bucket/one.csv")]
    cloud.train("seen", script, InputDataConfig=inputs, Environment={"X": "y"})
    cloud.job("seen")
    assert cloud.log_of("seen") == ["['algo-1']", "File", "seen jobs https://localhost:4566 None y", "1"]


def test_a_channel_that_is_streamed_shows_the_same_files(cloud: Cloud) -> None:
    cloud.s3.objects["bucket/train/000000.tar"] = b"0123456789"
    script = """
print(json.loads((base / 'input/config/inputdataconfig.json').read_text())['photos']['TrainingInputMode'])
with open(base / 'input/data/photos/train/000000.tar', 'rb') as shard:
    print(os.pread(shard.fileno(), 3, 4).decode())
"""
    cloud.train("streams", script, InputDataConfig=[channel("photos", "s3://bucket") | {"InputMode": "FastFile"}])
    assert cloud.job("streams")["TrainingJobStatus"] == "Completed"
    assert cloud.log_of("streams") == ["FastFile", "456"]


def test_log_lines_go_to_a_stream_of_the_job(cloud: Cloud) -> None:
    cloud.train("talks", "print('hello')\nprint('oh', file=sys.stderr)")
    cloud.job("talks")
    ((group, stream),) = cloud.logs
    assert group == "/aws/sagemaker/TrainingJobs"
    assert stream.startswith("talks/algo-1-")
    assert set(cloud.logs[group, stream].lines) == {"hello", "oh"}
    assert cloud.open_logs() == []  # what it said is stored when it is seen to have ended


def test_the_last_value_of_a_metric_is_its_final_one(cloud: Cloud) -> None:
    cloud.train("measured", "print('accuracy=0.5;')\nprint('accuracy=0.75;')")
    (metric,) = cloud.job("measured")["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("accuracy", 0.75)


def test_metrics_show_while_the_job_runs(cloud: Cloud) -> None:
    cloud.train("running", "print('accuracy=0.5;', flush=True)\n" + ENDLESS)
    wait_for(lambda: cloud.sagemaker.describe_training_job(TrainingJobName="running").get("FinalMetricDataList"))
    cloud.sagemaker.stop_training_job(TrainingJobName="running")
    assert cloud.job("running")["TrainingJobStatus"] == "Stopped"


def test_the_failure_file_becomes_the_reason(cloud: Cloud) -> None:
    cloud.train("bad", "(base / 'output/failure').write_text('PhotosError: no photos ' + 'x' * 2000); sys.exit(3)")
    job = cloud.job("bad")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: PhotosError: no photos xxx")
    assert job["FailureReason"].endswith("x, exit code: 3")
    assert len(job["FailureReason"]) == 1024


def test_a_killed_launcher_is_named_and_its_children_end_too(cloud: Cloud) -> None:
    cloud.train("killed", WITH_CHILD + "os.kill(os.getpid(), signal.SIGKILL)")
    job = cloud.job("killed")
    assert job["FailureReason"] == "AlgorithmError: killed by SIGKILL (signal 9), exit code: 137"
    child = child_of(cloud, "killed")
    wait_for(lambda: ended(child))


def test_children_end_with_a_job_that_completes(cloud: Cloud) -> None:
    cloud.train("leaves", WITH_CHILD)
    assert cloud.job("leaves")["TrainingJobStatus"] == "Completed"
    child = child_of(cloud, "leaves")
    wait_for(lambda: ended(child))


def test_a_stopped_job_may_save_its_model(cloud: Cloud) -> None:
    script = """
def save(*_):
    (base / 'model/weights').write_text('kept')
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
"""
    cloud.train("stopped", script + ENDLESS)
    wait_for(lambda: "started" in cloud.log_of("stopped"))
    cloud.sagemaker.stop_training_job(TrainingJobName="stopped")
    job = cloud.job("stopped")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert members(cloud.s3.objects["bucket/models/stopped/output/model.tar.gz"]) == {"weights": b"kept"}
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Stopped"):
        cloud.sagemaker.stop_training_job(TrainingJobName="stopped")


def test_a_job_ends_when_its_time_is_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = 0.0
    clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + ahead)
    monkeypatch.setattr(training_run, "time", clock)
    cloud.train("long", WITH_CHILD + ENDLESS, StoppingCondition={"MaxRuntimeInSeconds": 1000})
    child = child_of(cloud, "long")
    ahead = 1000.0
    job = cloud.job("long")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    wait_for(lambda: ended(child))


def test_an_empty_channel_fails_the_job_as_on_aws(cloud: Cloud) -> None:
    cloud.train("empty", "", InputDataConfig=[channel("photos", "s3://bucket/nothing/")])
    reason = cloud.job("empty")["FailureReason"]
    assert reason.startswith(
        'ClientError: Data download failed:No S3 objects found under S3 URL "s3://bucket/nothing/" given in input'
    )
    assert ROLE in reason


def test_a_key_that_leads_out_of_its_channel_fails_the_job(cloud: Cloud) -> None:
    cloud.s3.objects["bucket/photos/../../../evil"] = b""
    cloud.train("evil", "", InputDataConfig=[channel("photos", "s3://bucket/photos/")])
    assert "leads out of the folder" in cloud.job("evil")["FailureReason"]


def test_an_unknown_image_fails_the_job_like_a_failed_pull(cloud: Cloud) -> None:
    algorithm = {"TrainingImage": "other:1", "TrainingInputMode": "File"}
    cloud.train("pull", "", AlgorithmSpecification=algorithm)
    reason = cloud.job("pull")["FailureReason"]
    assert reason.startswith("ClientError: Cannot find image other:1")
    assert "Images here: image:test" in reason


def test_an_upload_that_is_denied_fails_the_job(cloud: Cloud) -> None:
    cloud.s3.denied = "model.tar.gz"
    cloud.train("denied", "")
    job = cloud.job("denied")
    assert "AccessDenied" in job["FailureReason"]
    assert not (cloud.config.state_dir / "jobs" / "denied").exists()


def test_checkpoints_are_copied_while_the_job_runs_and_restored_before_the_next(cloud: Cloud) -> None:
    script = """
last = base / 'checkpoints/last'
step = int(last.read_text()) if last.exists() else 0
print('from', step, flush=True)
(base / 'checkpoints/half.tmp').write_text('half')
last.write_text(str(step + 1))
while step == 0: time.sleep(0.05)
"""
    checkpoints = {"S3Uri": "s3://bucket/checkpoints/run"}
    cloud.train("cut", script, CheckpointConfig=checkpoints)
    wait_for(lambda: cloud.s3.objects.get("bucket/checkpoints/run/last") == b"1")
    cloud.sagemaker.stop_training_job(TrainingJobName="cut")
    cloud.job("cut")
    cloud.train("again", script, CheckpointConfig=checkpoints)
    assert cloud.job("again")["TrainingJobStatus"] == "Completed"
    assert "from 1" in cloud.log_of("again")
    assert cloud.s3.objects["bucket/checkpoints/run/last"] == b"2"
    assert "bucket/checkpoints/run/half.tmp" not in cloud.s3.objects


def test_the_last_checkpoint_of_a_failed_job_is_kept(cloud: Cloud) -> None:
    script = "(base / 'checkpoints/last').write_text('7'); os.kill(os.getpid(), signal.SIGKILL)"
    cloud.train("dies", script, CheckpointConfig={"S3Uri": "s3://bucket/c/"})
    assert "SIGKILL" in cloud.job("dies")["FailureReason"]
    assert cloud.s3.objects["bucket/c/last"] == b"7"


def test_an_interrupted_spot_job_goes_on_from_its_checkpoint(cloud: Cloud) -> None:
    script = """
last = base / 'checkpoints/last'
if last.exists():
    print('resumed from', last.read_text())
else:
    last.write_text('3')
    print('started', flush=True)
    time.sleep(60)
"""
    cloud.train(
        "spot",
        script,
        CheckpointConfig={"S3Uri": "s3://bucket/spot"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
    )
    wait_for(lambda: "started" in cloud.log_of("spot"))
    cloud.service.interrupt_training_job("spot")
    job = cloud.job("spot")
    assert job["TrainingJobStatus"] == "Completed"
    assert "resumed from 3" in cloud.log_of("spot")
    stages = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert stages[2:5] == ["Training", "Interrupted", "Starting"]


def test_a_name_is_used_once_until_the_job_is_deleted(cloud: Cloud) -> None:
    cloud.train("once", "")
    with pytest.raises(ClientError, match="Training job names must be unique") as refused:
        cloud.train("once", "")
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
    cloud.job("once")
    cloud.sagemaker.delete_training_job(TrainingJobName="once")
    cloud.train("once", "")
    assert cloud.job("once")["TrainingJobStatus"] == "Completed"


def test_a_running_job_cannot_be_deleted(cloud: Cloud) -> None:
    cloud.train("busy", ENDLESS)
    with pytest.raises(ClientError) as refused:
        cloud.sagemaker.delete_training_job(TrainingJobName="busy")
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_jobs_are_listed_filtered_and_paged(cloud: Cloud) -> None:
    for name in ("a-1", "a-2", "b-1"):
        cloud.train(name, "" if name != "a-2" else "sys.exit(1)")
        cloud.job(name)
        time.sleep(0.002)
    pages = cloud.sagemaker.get_paginator("list_training_jobs").paginate(
        SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    assert [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]] == ["b-1", "a-2", "a-1"]
    found = cloud.sagemaker.list_training_jobs(NameContains="a-", StatusEquals="Failed")["TrainingJobSummaries"]
    assert [job["TrainingJobName"] for job in found] == ["a-2"]
    created = cloud.job("b-1")["CreationTime"]
    later = cloud.sagemaker.list_training_jobs(CreationTimeAfter=created)["TrainingJobSummaries"]
    assert later == []


def test_an_unknown_job_is_a_validation_exception(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="Requested resource not found") as refused:
        cloud.sagemaker.describe_training_job(TrainingJobName="nobody")
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_tags_given_on_creation_are_kept(cloud: Cloud) -> None:
    cloud.train("tagged", "", Tags=[{"Key": "project", "Value": "x y"}])
    arn = cloud.job("tagged")["TrainingJobArn"]
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "z"}])
    cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["project"])
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "more", "Value": "z"}]
