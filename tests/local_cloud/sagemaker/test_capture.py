"""Data capture and metrics: what an endpoint keeps and tells of its requests."""

import base64
import json
import re
from typing import Any

import pytest

from local_cloud.sagemaker.invocation_metrics import Invocation
from tests.local_cloud.sagemaker.stand_in import IMAGE, ROLE, Cloud, MemoryS3, wait_for
from tests.local_cloud.sagemaker.test_endpoints import ask, tar_gz

NAME = re.compile(r"bucket/captures/dogs/v/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl")


def serve_captured(cloud: Cloud, **members: Any) -> None:
    """Serve a model whose requests are captured."""
    cloud.s3.objects["bucket/one/model.tar.gz"] = tar_gz(answer_txt="one")
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/one/model.tar.gz"}
    cloud.sagemaker.create_model(ModelName="one", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://bucket/captures",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName="one",
        ProductionVariants=[
            {"VariantName": "v", "ModelName": "one", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
        DataCaptureConfig={**capture, **members},
    )
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="one")
    cloud.endpoint("dogs")


def captured(s3: MemoryS3) -> list[dict[str, Any]]:
    """Return all lines captured so far."""
    files = [content for key, content in sorted(s3.objects.items()) if key.startswith("bucket/captures/")]
    return [json.loads(line) for content in files for line in content.splitlines()]


def test_requests_and_answers_are_captured_as_on_aws(cloud: Cloud, s3: MemoryS3) -> None:
    serve_captured(cloud)
    cloud.service.invoke_endpoint("dogs", b"\xff\xd8 photo", {"Content-Type": "image/jpeg"})
    line = wait_for(lambda: captured(s3))[0]
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "image/jpeg",
        "mode": "INPUT",
        "data": base64.b64encode(b"\xff\xd8 photo").decode(),
        "encoding": "BASE64",
    }
    assert line["captureData"]["endpointOutput"]["observedContentType"] == "text/plain"
    assert line["eventVersion"] == "0"
    assert line["eventMetadata"].keys() == {"eventId", "inferenceTime"}
    assert all(NAME.fullmatch(key) for key in s3.objects if "/captures/" in key)
    summary = cloud.sagemaker.describe_endpoint(EndpointName="dogs")["DataCaptureConfig"]
    assert (summary["CaptureStatus"], summary["CurrentSamplingPercentage"]) == ("Started", 100)


def test_what_is_captured_and_how_it_is_written_can_be_chosen(cloud: Cloud, s3: MemoryS3) -> None:
    serve_captured(
        cloud,
        CaptureOptions=[{"CaptureMode": "Output"}],
        CaptureContentTypeHeader={"JsonContentTypes": ["text/plain"]},
        KmsKeyId="key",
    )
    ask(cloud)
    line = wait_for(lambda: captured(s3))[0]
    assert line["captureData"].keys() == {"endpointOutput"}
    assert line["captureData"]["endpointOutput"]["encoding"] == "JSON"
    assert line["captureData"]["endpointOutput"]["data"].startswith("one photo")
    encryption = [how for key, how in s3.encryption.items() if "/captures/" in key]
    assert encryption == [{"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}]


@pytest.mark.parametrize(("members", "least", "most"), [({"InitialSamplingPercentage": 30}, 5, 60), ({}, 100, 100)])
def test_a_share_of_the_requests_is_captured(
    cloud: Cloud, s3: MemoryS3, members: dict[str, int], least: int, most: int
) -> None:
    serve_captured(cloud, **members)
    for _ in range(100):
        cloud.service.invoke_endpoint("dogs", b"x", {"Content-Type": "a/b"})
    cloud.service.stop()
    assert least <= len(captured(s3)) <= most


def test_capture_can_be_switched_off(cloud: Cloud, s3: MemoryS3) -> None:
    serve_captured(cloud, EnableCapture=False)
    ask(cloud)
    cloud.service.stop()
    assert captured(s3) == []


def test_a_capture_that_cannot_be_written_fails_no_request(cloud: Cloud, s3: MemoryS3) -> None:
    s3.denied = "captures"
    serve_captured(cloud)
    assert ask(cloud).startswith("one")
    wait_for(lambda: any("captured data was not written" in line for line in cloud.log_of("Endpoints/dogs")))
    assert ask(cloud).startswith("one")


def test_requests_are_measured_and_an_idle_endpoint_tells_nothing(cloud: Cloud) -> None:
    serve_captured(cloud, EnableCapture=False)
    for _ in range(3):
        ask(cloud)
    cloud.service.invoke_endpoint("dogs", b"bad", {"Content-Type": "a/b"})
    wait_for(lambda: cloud.watch.sum_of("Invocations") == 4)
    assert cloud.watch.sum_of("Invocation4XXErrors") == 1
    assert cloud.watch.sum_of("Invocation5XXErrors") == 0
    namespace, datum = cloud.watch.told[0]
    assert (namespace, datum.dimensions) == ("AWS/SageMaker", {"EndpointName": "dogs", "VariantName": "v"})
    told = len(cloud.watch.told)
    cloud.service.stop()
    assert len(cloud.watch.told) == told


@pytest.mark.parametrize(("status", "client", "server"), [(200, 0, 0), (404, 1, 0), (500, 0, 1), (0, 0, 1)])
def test_errors_are_told_apart(status: int, client: int, server: int) -> None:
    measures = Invocation("dogs", "v", 2, status, 0.0123456, 0.001).measures()
    assert measures["Invocation4XXErrors", "None"] == client
    assert measures["Invocation5XXErrors", "None"] == server
    assert measures["InvocationsPerInstance", "None"] == 0.5
    assert measures["ModelLatency", "Microseconds"] == 12300.0
