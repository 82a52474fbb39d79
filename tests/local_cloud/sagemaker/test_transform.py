import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.sagemaker.stand_in import IMAGE, ROLE, Cloud, MemoryS3, Server, new_cloud, wait_for
from tests.local_cloud.sagemaker.test_endpoints import server_pids, tar_gz

# Answers with the body in brackets; what the body says, it does. answer.txt is what /execution-parameters says.
SERVE = """
import http.server, json, os, pathlib, sys, threading, time

model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
parameters = (model / "answer.txt").read_bytes()
if parameters == b"broken":
    sys.exit("cannot load the model")
print("loaded")
lock, now, most = threading.Lock(), 0, 0
tries = {}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/ping":
            self.reply(200, b"")
        elif parameters:
            self.reply(200, parameters)
        else:
            self.reply(404, b"")

    def do_POST(self):
        global now, most
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with lock:
            now += 1
            most = max(most, now)
            tries[body] = tries.get(body, 0) + 1
        status, answer = self.found(body)
        # Before the answer: the next request may come the moment it is read.
        with lock:
            now -= 1
        self.reply(status, answer)

    def found(self, body):
        if body == b"environment":
            found = {n: v for n, v in os.environ.items() if n.startswith("SAGEMAKER_") or n == "OWN"}
            return 200, json.dumps(found).encode()
        elif body == b"headers":
            return 200, f"{self.headers['Content-Type']} {self.headers['Accept']}".encode()
        elif body.startswith(b"bad"):
            return 400, b"no photo"
        elif body == b"flaky" and tries[body] < 3:
            return 503, b"busy"
        elif body == b"failing":
            return 500, b"cannot predict"
        elif body == b"die":
            os._exit(3)
        elif body == b"wait":
            time.sleep(60)
        elif body.startswith(b"together"):
            deadline = time.monotonic() + 10
            while most < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            body = str(most).encode()
        return 200, b"[" + body + b"]"

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def cloud(tmp_path: Path, s3: MemoryS3) -> Iterator[Cloud]:
    (tmp_path / "bin").mkdir()
    serve = tmp_path / "bin" / "serve"
    serve.write_text(f"#!{sys.executable}\n{SERVE}")
    serve.chmod(0o755)
    made = new_cloud(tmp_path, s3)
    with Server(made):
        create_model(made)
        yield made


def create_model(cloud: Cloud, name: str = "dogs", parameters: str = "", **members: Any) -> None:
    cloud.s3.objects[f"bucket/{name}/model.tar.gz"] = tar_gz(answer_txt=parameters)
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://bucket/{name}/model.tar.gz", **members}
    cloud.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)


def put(cloud: Cloud, **objects: bytes) -> None:
    """Put objects below s3://bucket/in/; a double underscore in a name stands for a slash."""
    for name, body in objects.items():
        cloud.s3.objects[f"bucket/in/{name.replace('__', '/')}"] = body


def request(name: str = "job", **members: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in/"}
    return {
        "TransformJobName": name,
        "ModelName": "dogs",
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "image/jpeg"},
        "TransformOutput": {"S3OutputPath": "s3://bucket/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "ModelClientConfig": {"InvocationsMaxRetries": 0},
        **members,
    }


def split(**members: Any) -> dict[str, Any]:
    """Return what makes a job go through its objects line by line."""
    given = request()["TransformInput"] | {"SplitType": "Line"}
    output = {"S3OutputPath": "s3://bucket/out", "AssembleWith": "Line"}
    return {"TransformInput": given, "TransformOutput": output, **members}


def ended(cloud: Cloud, name: str = "job", seconds: float = 20) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = cloud.sagemaker.describe_transform_job(TransformJobName=name)
        return found if found["TransformJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return wait_for(look, seconds)


def transform(cloud: Cloud, **members: Any) -> dict[str, Any]:
    cloud.sagemaker.create_transform_job(**request(**members))
    return ended(cloud)


def outputs(cloud: Cloud) -> dict[str, bytes]:
    prefix = "bucket/out/"
    return {key.removeprefix(prefix): body for key, body in list(cloud.s3.objects.items()) if key.startswith(prefix)}


def test_every_object_below_the_prefix_is_answered_under_its_name(cloud: Cloud) -> None:
    put(cloud, a=b"1", breeds__b=b"2", breeds__c=b"3", breeds__=b"")
    job = transform(cloud)
    assert job["TransformJobStatus"] == "Completed"
    assert job["TransformStartTime"] <= job["TransformEndTime"]
    assert outputs(cloud) == {"a.out": b"[1]", "breeds/b.out": b"[2]", "breeds/c.out": b"[3]"}
    assert not server_pids(cloud)
    assert not (cloud.config.state_dir / "transforms" / "job").exists()


def test_the_containers_lines_and_the_limits_are_in_the_jobs_log(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    transform(cloud)
    assert "loaded" in cloud.logs["/aws/sagemaker/TransformJobs", "job/i-local"].lines
    limits = "[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
    assert cloud.logs["/aws/sagemaker/TransformJobs", "job/i-local/data-log"].lines == [limits]
    assert cloud.open_logs() == []  # what was said is stored when the job is seen to have ended


def test_the_container_learns_that_it_is_a_batch_and_what_the_request_says(cloud: Cloud) -> None:
    create_model(cloud, "own", Environment={"OWN": "model", "SAGEMAKER_PROGRAM": "inference.py"})
    put(cloud, a=b"environment")
    chosen = {"MaxPayloadInMB": 20, "MaxConcurrentTransforms": 2, "BatchStrategy": "SingleRecord"}
    transform(cloud, ModelName="own", Environment={"OWN": "job"}, **chosen)
    found = json.loads(outputs(cloud)["a.out"])
    expected = {
        "OWN": "job",
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
    }
    assert expected.items() <= found.items()


def test_what_the_request_leaves_open_is_not_told_to_the_container(cloud: Cloud) -> None:
    put(cloud, a=b"environment")
    transform(cloud)
    found = json.loads(outputs(cloud)["a.out"])
    assert found["SAGEMAKER_BATCH"] == "true"
    assert not {"SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_BATCH_STRATEGY"} & found.keys()


def test_content_type_and_accept_travel_with_each_object(cloud: Cloud) -> None:
    put(cloud, a=b"headers")
    transform(cloud, TransformOutput={"S3OutputPath": "s3://bucket/out", "Accept": "application/json"})
    assert outputs(cloud) == {"a.out": b"image/jpeg application/json"}


def test_as_many_requests_as_asked_for_run_at_once(cloud: Cloud) -> None:
    put(cloud, a=b"together 1", b=b"together 2", c=b"3")
    transform(cloud, MaxConcurrentTransforms=2)
    assert outputs(cloud) == {"a.out": b"[2]", "b.out": b"[2]", "c.out": b"[3]"}


def test_the_container_says_how_it_wants_to_be_asked(cloud: Cloud) -> None:
    said = {"MaxConcurrentTransforms": 3, "MaxPayloadInMB": 2, "BatchStrategy": "SINGLE_RECORD"}
    create_model(cloud, "says", json.dumps(said))
    put(cloud, a=b"1\n2")
    transform(cloud, ModelName="says", **split(MaxPayloadInMB=1))
    lines = cloud.log_of("data-log")
    assert lines == ["[sagemaker logs]: MaxConcurrentTransforms=3, MaxPayloadInMB=1, BatchStrategy=SINGLE_RECORD"]
    assert outputs(cloud) == {"a.out": b"[1]\n[2]\n"}


@pytest.mark.parametrize("said", ["[1]", "what", '{"MaxConcurrentTransforms": "many"}', '{"BatchStrategy": "X"}'])
def test_execution_parameters_that_are_none_fail_the_job(cloud: Cloud, said: str) -> None:
    create_model(cloud, "odd", said)
    put(cloud, a=b"1")
    assert "AlgorithmError: /execution-parameters answered" in transform(cloud, ModelName="odd")["FailureReason"]


def test_lines_are_sent_together_up_to_the_payload(cloud: Cloud) -> None:
    line = b"x" * 400_000
    put(cloud, a=b"\n".join([line, line, b"", line, b"short"]) + b"\n")
    transform(cloud, **split(MaxPayloadInMB=1, BatchStrategy="MultiRecord"))
    two, rest = line + b"\n" + line, line + b"\nshort"
    assert outputs(cloud) == {"a.out": b"[" + two + b"]\n[" + rest + b"]\n"}


def test_an_object_larger_than_the_payload_fails_and_the_others_are_answered(cloud: Cloud) -> None:
    put(cloud, a=b"x" * (1024 * 1024 + 1), b=b"x" * 1024 * 1024)
    job = transform(cloud, MaxPayloadInMB=1)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: s3://bucket/in/a: a record is larger than MaxPayloadInMB")
    assert list(outputs(cloud)) == ["b.out"]


def test_a_refused_object_is_named_and_the_others_are_answered(cloud: Cloud) -> None:
    put(cloud, a=b"1", b=b"bad 1", c=b"bad 2", d=b"4")
    job = transform(cloud)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "ClientError: s3://bucket/in/b: the container answered 400: no photo (1 more object failed). "
        "See the log group /aws/sagemaker/TransformJobs"
    )
    assert sorted(outputs(cloud)) == ["a.out", "d.out"]
    assert any("s3://bucket/in/c: ClientError: the container answered 400" in line for line in cloud.log_of("data-log"))


def test_an_object_is_uploaded_whole_or_not_at_all(cloud: Cloud) -> None:
    put(cloud, a=b"1\nbad\n3")
    transform(cloud, **split(BatchStrategy="SingleRecord"))
    assert outputs(cloud) == {}


def test_a_models_failure_is_tried_again_and_its_refusal_is_not(cloud: Cloud) -> None:
    put(cloud, a=b"flaky", b=b"failing")
    job = transform(cloud, ModelClientConfig={"InvocationsMaxRetries": 2})
    assert outputs(cloud) == {"a.out": b"[flaky]"}
    assert job["FailureReason"].startswith("AlgorithmError: s3://bucket/in/b: the container answered 500")


def test_a_server_that_dies_fails_the_job_at_that_object(cloud: Cloud) -> None:
    put(cloud, a=b"1", b=b"die", c=b"3")
    job = transform(cloud)
    assert job["FailureReason"].startswith("AlgorithmError: s3://bucket/in/b: the container did not answer")
    assert list(outputs(cloud)) == ["a.out"]


def test_a_request_that_takes_too_long_fails_the_job(cloud: Cloud) -> None:
    put(cloud, a=b"wait")
    job = transform(cloud, ModelClientConfig={"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0})
    assert job["FailureReason"].startswith("AlgorithmError: s3://bucket/in/a: the container did not answer")


def test_a_server_that_does_not_start_fails_the_job(cloud: Cloud) -> None:
    create_model(cloud, "worse", "broken")
    put(cloud, a=b"1")
    job = transform(cloud, ModelName="worse")
    assert job["FailureReason"] == (
        "AlgorithmError: the model's container did not pass the ping health check: see the log group "
        "/aws/sagemaker/TransformJobs, job/i-local"
    )
    assert "cannot load the model" in cloud.log_of("TransformJobs")


def test_a_prefix_without_objects_fails_the_job(cloud: Cloud) -> None:
    assert 'No S3 objects found under S3 URL "s3://bucket/in/"' in transform(cloud)["FailureReason"]


def test_a_missing_model_archive_fails_the_job(cloud: Cloud) -> None:
    del cloud.s3.objects["bucket/dogs/model.tar.gz"]
    put(cloud, a=b"1")
    assert "Failed to download model data" in transform(cloud)["FailureReason"]


def test_a_denied_output_fails_the_job_with_the_objects_name(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    cloud.s3.denied = "out/"
    assert transform(cloud)["FailureReason"].startswith(
        "ClientError: s3://bucket/in/a: An error occurred (AccessDenied"
    )


def test_answers_are_encrypted_with_the_key_that_is_asked_for(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    transform(cloud, TransformOutput={"S3OutputPath": "s3://bucket/out/", "KmsKeyId": "key"})
    assert cloud.s3.encryption["bucket/out/a.out"]["SSEKMSKeyId"] == "key"


def test_a_manifest_names_the_objects(cloud: Cloud) -> None:
    put(cloud, a=b"1", breeds__b=b"2", c=b"3")
    cloud.s3.objects["bucket/list.json"] = json.dumps([{"prefix": "s3://bucket/in/"}, "a", "breeds/b"]).encode()
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list.json"}}
    transform(cloud, TransformInput={"DataSource": source, "ContentType": "image/jpeg"})
    assert outputs(cloud) == {"a.out": b"[1]", "breeds/b.out": b"[2]"}


@pytest.mark.parametrize("manifest", ["{}", '["a"]', '[{"prefix": "s3://bucket/in/"}, 1]', "no", "[]"])
def test_a_manifest_that_is_none_fails_the_job(cloud: Cloud, manifest: str) -> None:
    cloud.s3.objects["bucket/list.json"] = manifest.encode()
    source = {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/list.json"}}
    assert "is no manifest" in transform(cloud, TransformInput={"DataSource": source})["FailureReason"]


def test_names_that_lead_out_of_the_output_path_fail_the_job(cloud: Cloud) -> None:
    cloud.s3.objects["bucket/in/../../a"] = b"1"
    assert "leads out of the folder" in transform(cloud)["FailureReason"]


def test_a_stopped_job_cuts_its_requests_off_and_leaves_no_process(cloud: Cloud) -> None:
    put(cloud, a=b"1", b=b"wait", c=b"3")
    cloud.sagemaker.create_transform_job(**request())
    wait_for(lambda: "a.out" in outputs(cloud))
    cloud.sagemaker.stop_transform_job(TransformJobName="job")
    job = ended(cloud)
    assert job["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert list(outputs(cloud)) == ["a.out"]
    assert not server_pids(cloud)


def test_a_job_that_has_ended_cannot_be_stopped(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    transform(cloud)
    with pytest.raises(ClientError, match="rejected because the transform job is in status Completed"):
        cloud.sagemaker.stop_transform_job(TransformJobName="job")


def test_a_job_that_ran_when_the_service_stopped_has_failed_and_says_why(cloud: Cloud, tmp_path: Path) -> None:
    put(cloud, a=b"wait")
    cloud.sagemaker.create_transform_job(**request())
    wait_for(lambda: server_pids(cloud))
    cloud.service.stop()
    assert not server_pids(cloud)
    assert ended(cloud)["FailureReason"] == "InternalServerError: the local SageMaker was stopped while the job ran"


def test_a_job_that_ran_at_a_crash_has_failed_and_its_server_is_ended(cloud: Cloud, tmp_path: Path) -> None:
    put(cloud, a=b"wait")
    cloud.sagemaker.create_transform_job(**request())
    wait_for(lambda: "TransformStartTime" in cloud.sagemaker.describe_transform_job(TransformJobName="job"))
    # A copy: the service that stands for the crashed one goes on writing into its own folder.
    shutil.copytree(tmp_path / "state", tmp_path / "left")
    later = new_cloud(tmp_path, cloud.s3, state_dir=tmp_path / "left")
    later.service.start()
    found = later.service.handle("DescribeTransformJob", {"TransformJobName": "job"})
    assert found["TransformJobStatus"] == "Failed"
    assert found["FailureReason"] == "InternalServerError: the local SageMaker ended while the job ran"
    wait_for(lambda: not server_pids(cloud))
    later.service.stop()


def test_the_description_has_what_aws_shows_and_nothing_else(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    job = transform(cloud, Tags=[{"Key": "k", "Value": "v"}])
    assert job["TransformJobArn"] == "arn:aws:sagemaker:us-east-1:123456789012:transform-job/job"
    assert job["TransformInput"]["SplitType"] == "None"
    assert job["TransformOutput"]["AssembleWith"] == "None"
    raw = cloud.service.handle("DescribeTransformJob", {"TransformJobName": "job"})
    assert not {"Tags", "LastModifiedTime"} & raw.keys()
    assert cloud.sagemaker.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == [{"Key": "k", "Value": "v"}]


def test_jobs_are_listed_newest_first_by_status(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    for name in ("first", "second"):
        cloud.sagemaker.create_transform_job(**request(name))
        ended(cloud, name)
    cloud.sagemaker.create_transform_job(**request("third", ModelName="dogs"))
    ended(cloud, "third")
    found = cloud.sagemaker.list_transform_jobs(StatusEquals="Completed", MaxResults=2)
    assert [each["TransformJobName"] for each in found["TransformJobSummaries"]] == ["third", "second"]
    assert "TransformEndTime" in found["TransformJobSummaries"][0]
    rest = cloud.sagemaker.list_transform_jobs(StatusEquals="Completed", NextToken=found["NextToken"])
    assert [each["TransformJobName"] for each in rest["TransformJobSummaries"]] == ["first"]
    assert cloud.sagemaker.list_transform_jobs(StatusEquals="Failed")["TransformJobSummaries"] == []


def test_names_are_used_once(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    transform(cloud)
    with pytest.raises(ClientError, match="must be unique") as refused:
        cloud.sagemaker.create_transform_job(**request())
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_unknown_models_and_jobs_are_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match='Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/cats"'):
        cloud.sagemaker.create_transform_job(**request(ModelName="cats"))
    for call in (cloud.sagemaker.describe_transform_job, cloud.sagemaker.stop_transform_job):
        with pytest.raises(ClientError, match="Could not find requested job with name: job"):
            call(TransformJobName="job")


def _input(**members: Any) -> dict[str, Any]:
    return {"TransformInput": request()["TransformInput"] | members}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"MaxPayloadInMB": 101}, "MaxPayloadInMB 101 is greater than 100"),
        ({"MaxPayloadInMB": 30, "MaxConcurrentTransforms": 4}, "must not exceed 100 MB, got 4 [*] 30"),
        (_input(SplitType="RecordIO"), "SplitType RecordIO is offered on AWS only"),
        (_input(CompressionType="Gzip"), "CompressionType Gzip is offered on AWS only"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "DataProcessing .* is offered on AWS only"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://bucket/c"}}, "DataCaptureConfig"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}, "InstanceCount must be 1"),
        ({"TransformOutput": {"S3OutputPath": "https://bucket/out"}}, "is no S3 URI"),
        ({"TransformResources": {"InstanceType": "ml.tiny", "InstanceCount": 1}}, "enum value set"),
        ({"TransformJobName": "a_b"}, "regular expression pattern"),
    ],
)
def test_what_aws_refuses_or_only_aws_offers_is_refused(cloud: Cloud, members: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        cloud.sagemaker.create_transform_job(**request(**members))
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert cloud.sagemaker.list_transform_jobs()["TransformJobSummaries"] == []


def test_data_processing_that_changes_nothing_is_accepted(cloud: Cloud) -> None:
    put(cloud, a=b"1")
    assert transform(cloud, DataProcessing={"InputFilter": "$"})["TransformJobStatus"] == "Completed"
