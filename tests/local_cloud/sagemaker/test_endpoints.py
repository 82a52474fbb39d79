import io
import tarfile
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.sagemaker.stand_in import IMAGE, ROLE, Cloud, MemoryS3, Server, new_cloud, wait_for, write_image


def tar_gz(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def configure(cloud: Cloud, name: str, answer: str | None, **variant: Any) -> None:
    """Create a model that answers ``answer``, and an endpoint configuration of the same name."""
    if answer is not None:
        cloud.s3.objects[f"bucket/{name}/model.tar.gz"] = tar_gz(answer_txt=answer)
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://bucket/{name}/model.tar.gz"}
    cloud.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                **variant,
            }
        ],
    )


def serve(cloud: Cloud, answer: str = "one") -> None:
    configure(cloud, answer, answer)
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName=answer)
    cloud.endpoint("dogs")


def ask(cloud: Cloud, body: bytes = b"photo") -> str:
    answer = cloud.runtime.invoke_endpoint(EndpointName="dogs", Body=body, ContentType="image/jpeg")
    text: bytes = answer["Body"].read()
    return text.decode()


def server_pids(cloud: Cloud) -> list[int]:
    base = str(cloud.config.state_dir)
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SAGEMAKER_BASE_DIR", "").startswith(base):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_an_endpoint_serves_the_unpacked_model(cloud: Cloud) -> None:
    serve(cloud)
    found = cloud.sagemaker.describe_endpoint(EndpointName="dogs")
    assert found["EndpointConfigName"] == "one"
    assert found["ProductionVariants"][0]["VariantName"] == "AllTraffic"
    answer = cloud.runtime.invoke_endpoint(EndpointName="dogs", Body=b"photo", ContentType="image/jpeg")
    assert answer["Body"].read() == b"one photo image/jpeg"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ContentType"] == "text/plain"
    wait_for(lambda: "serving one" in cloud.log_of("/aws/sagemaker/Endpoints/dogs"))


def test_a_models_error_is_a_model_error(cloud: Cloud) -> None:
    serve(cloud)
    with pytest.raises(cloud.runtime.exceptions.ModelError) as refused:
        ask(cloud, b"bad")
    response = refused.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (400, "no photo")
    assert response["LogStreamArn"].endswith("log-group:/aws/sagemaker/Endpoints/dogs")
    assert 'Received client error (400) from primary with message "no photo".' in response["Error"]["Message"]


def test_an_unknown_endpoint_is_worded_as_on_aws(cloud: Cloud) -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/dogs"
    with pytest.raises(ClientError, match=f'Could not find endpoint "{arn}".') as refused:
        cloud.sagemaker.describe_endpoint(EndpointName="dogs")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="Endpoint dogs of account 123456789012 not found") as refused:
        ask(cloud)
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_an_update_switches_without_a_failed_request(cloud: Cloud) -> None:
    serve(cloud)
    configure(cloud, "two", "two")
    answers: list[str] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answers.append(ask(cloud))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    cloud.s3.open.clear()
    cloud.sagemaker.update_endpoint(EndpointName="dogs", EndpointConfigName="two")
    assert cloud.sagemaker.describe_endpoint(EndpointName="dogs")["EndpointStatus"] == "Updating"
    cloud.s3.open.set()
    cloud.endpoint("dogs")
    wait_for(lambda: len(server_pids(cloud)) == 1)
    done.set()
    asking.join()
    assert ask(cloud).startswith("two")
    assert {answer.split()[0] for answer in answers} <= {"one", "two"}
    assert cloud.sagemaker.describe_endpoint(EndpointName="dogs")["EndpointConfigName"] == "two"
    wait_for(lambda: len(list((cloud.config.state_dir / "endpoints" / "dogs").iterdir())) == 1)


def test_a_failing_update_goes_on_with_the_old_configuration(cloud: Cloud) -> None:
    serve(cloud)
    configure(cloud, "worse", "broken")
    cloud.sagemaker.update_endpoint(EndpointName="dogs", EndpointConfigName="worse")
    found = cloud.endpoint("dogs")
    assert found["EndpointConfigName"] == "one"
    assert "did not pass the ping health check" in found["FailureReason"]
    assert "PendingDeploymentSummary" not in found
    assert ask(cloud).startswith("one")
    assert len(list((cloud.config.state_dir / "endpoints" / "dogs").iterdir())) == 1


def test_a_failing_creation_names_the_log_group(cloud: Cloud) -> None:
    configure(cloud, "worse", "broken")
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="worse")
    found = cloud.endpoint("dogs", "Failed")
    assert "log group /aws/sagemaker/Endpoints/dogs" in found["FailureReason"]
    assert "cannot load the model" in cloud.log_of("Endpoints/dogs")
    assert cloud.open_logs() == []
    with pytest.raises(ClientError, match="it can only be deleted"):
        cloud.sagemaker.update_endpoint(EndpointName="dogs", EndpointConfigName="worse")
    cloud.sagemaker.delete_endpoint(EndpointName="dogs")


def test_a_server_that_never_answers_fails_the_creation(tmp_path: Path, s3: MemoryS3) -> None:
    image = write_image(tmp_path / "bin")
    (image / "serve").write_text("#!/bin/sh\nexec sleep 600\n")
    cloud = new_cloud(tmp_path, s3, health_check_seconds=0.5)
    with Server(cloud):
        configure(cloud, "mute", "x")
        cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="mute")
        assert "ping health check" in cloud.endpoint("dogs", "Failed")["FailureReason"]
        assert server_pids(cloud) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "Failed to download model data"),
        (b"PK zip", "failed to extract model data archive"),
        (tar_gz(answer_txt="x" * 5000)[:30], "failed to extract model data archive"),
        (tar_gz(**{"../evil": "x"}), "failed to extract model data archive"),
    ],
    ids=["missing", "no tar.gz", "cut off", "leading out"],
)
def test_an_artifact_that_cannot_be_used_fails_the_creation(cloud: Cloud, content: bytes | None, words: str) -> None:
    configure(cloud, "odd", None)
    if content is not None:
        cloud.s3.objects["bucket/odd/model.tar.gz"] = content
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="odd")
    assert words in cloud.endpoint("dogs", "Failed")["FailureReason"]
    assert list((cloud.config.state_dir / "endpoints").rglob("evil")) == []


def test_an_uncompressed_model_is_served(cloud: Cloud) -> None:
    cloud.s3.objects["bucket/plain/answer.txt"] = b"plain"
    source = {"S3Uri": "s3://bucket/plain/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    cloud.sagemaker.create_model(ModelName="plain", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "v", "ModelName": "plain", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    cloud.sagemaker.create_endpoint_config(EndpointConfigName="plain", ProductionVariants=[variant])
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="plain")
    cloud.endpoint("dogs")
    assert ask(cloud).startswith("plain")


def test_a_server_that_dies_is_started_again(cloud: Cloud) -> None:
    serve(cloud)
    with pytest.raises(cloud.runtime.exceptions.ModelError, match="The container closed the connection"):
        ask(cloud, b"die")

    def served_again() -> bool:
        try:
            return ask(cloud).startswith("one")
        except cloud.runtime.exceptions.ModelError:
            return False  # it reached the dying server's socket

    wait_for(served_again)
    assert any("exit code 3: it is started again" in line for line in cloud.log_of("Endpoints/dogs"))


def test_a_deleted_endpoint_leaves_no_process_and_no_file(cloud: Cloud) -> None:
    serve(cloud)
    assert cloud.open_logs() == ["/aws/sagemaker/Endpoints/dogs/AllTraffic/i-local"]
    cloud.sagemaker.delete_endpoint(EndpointName="dogs")
    assert server_pids(cloud) == []
    assert cloud.open_logs() == []
    assert not (cloud.config.state_dir / "endpoints" / "dogs").exists()
    with pytest.raises(ClientError, match="Could not find endpoint"):
        cloud.sagemaker.describe_endpoint(EndpointName="dogs")


def test_an_endpoint_comes_back_without_s3_when_the_service_starts_again(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    cloud = new_cloud(tmp_path, s3)
    with Server(cloud):
        serve(cloud)
    assert server_pids(cloud) == []
    s3.objects.clear()
    again = new_cloud(tmp_path, s3)
    with Server(again):
        # A request that comes before the server is up waits for it.
        assert ask(again).startswith("one")
        assert again.endpoint("dogs")["EndpointConfigName"] == "one"


def test_names_that_are_taken_or_unknown_are_refused_as_on_aws(cloud: Cloud) -> None:
    serve(cloud)
    with pytest.raises(ClientError, match='Cannot create already existing endpoint "arn:aws:'):
        cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="one")
    with pytest.raises(ClientError, match='Cannot create already existing model "arn:aws:'):
        configure(cloud, "one", "one")
    with pytest.raises(ClientError, match='Could not find endpoint configuration "arn:aws:'):
        cloud.sagemaker.update_endpoint(EndpointName="dogs", EndpointConfigName="none")
    with pytest.raises(ClientError, match='Could not find model "arn:aws:'):
        cloud.sagemaker.describe_model(ModelName="none")


def test_a_model_of_an_unknown_image_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ClientError, match="Cannot find image nothing:1"):
        cloud.sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "nothing:1"}, ExecutionRoleArn=ROLE)


def test_models_configurations_and_endpoints_are_described_and_listed(cloud: Cloud) -> None:
    serve(cloud)
    assert cloud.sagemaker.describe_model(ModelName="one")["PrimaryContainer"]["Image"] == IMAGE
    variant = cloud.sagemaker.describe_endpoint_config(EndpointConfigName="one")["ProductionVariants"][0]
    assert variant["InitialVariantWeight"] == 1.0
    assert [m["ModelName"] for m in cloud.sagemaker.list_models()["Models"]] == ["one"]
    assert [c["EndpointConfigName"] for c in cloud.sagemaker.list_endpoint_configs()["EndpointConfigs"]] == ["one"]
    found = cloud.sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in found] == ["dogs"]
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName="one")
    cloud.sagemaker.delete_model(ModelName="one")
    assert ask(cloud).startswith("one")


def test_traffic_is_shared_by_weight_and_a_variant_can_be_asked_for(cloud: Cloud) -> None:
    for name in ("one", "two"):
        configure(cloud, name, name)
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName="both",
        ProductionVariants=[
            {
                "VariantName": name,
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": weight,
            }
            for name, weight in (("one", 0.0), ("two", 1.0))
        ],
    )
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="both")
    cloud.endpoint("dogs")
    assert {ask(cloud).split()[0] for _ in range(5)} == {"two"}
    answer = cloud.runtime.invoke_endpoint(EndpointName="dogs", Body=b"x", ContentType="a/b", TargetVariant="one")
    assert answer["InvokedProductionVariant"] == "one"


def test_a_body_over_the_limit_is_refused(cloud: Cloud) -> None:
    serve(cloud)
    status, headers, _ = cloud.service.invoke_endpoint("dogs", b"x" * (25 * 1024 * 1024 + 1), {})
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationError")
