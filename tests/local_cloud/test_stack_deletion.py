"""Deleting a stack takes along what executions made, under the very roles that the template gives."""

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, DefaultStackSynthesizer, Stack
from aws_cdk import aws_stepfunctions as sfn

from infra.cleanup.construct import Cleanup
from infra.data import DataBucket
from infra.settings import Settings
from tests.local_cloud.conftest import IMAGE, RunningCloud, allow

_ASSETS = "cdk-hnb659fds-assets-000000000000-us-east-1"
_WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
_SCALING = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


@dataclass
class Deployed:
    """A stage with a state machine that only waits; otherwise the constructs that every stage has."""

    cloud: RunningCloud
    name: str
    role: str

    @property
    def prefix(self) -> str:
        return f"pedigree-{self.name}"

    def resource(self, kind: str) -> list[str]:
        """Return the physical ids of the stack's resources of a type."""
        found = self.cloud.client("cloudformation").describe_stack_resources(StackName=self.name)["StackResources"]
        return [each["PhysicalResourceId"] for each in found if each["ResourceType"] == kind]

    def delete(self) -> str:
        """Delete the stack and return its last status."""
        stacks = self.cloud.client("cloudformation")
        arn = stacks.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        stacks.delete_stack(StackName=self.name)
        return self.wait(arn)

    def wait(self, arn: str) -> str:
        """Return the stack's status once its present operation is over."""

        def status() -> str:
            (stack,) = self.cloud.client("cloudformation").describe_stacks(StackName=arn)["Stacks"]
            found: str = stack["StackStatus"]
            return "" if found.endswith("_IN_PROGRESS") else found

        return until(status)


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first value that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)
    return value


def template_of(out: Path, settings: Settings) -> str:
    """Synthesize a small stack with what every stage has for its data and its end."""
    context = json.loads(Path("cdk.json").read_text(encoding="utf-8"))["context"]
    app = App(outdir=str(out), context=context)
    stack = Stack(app, settings.stage, synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False))
    DataBucket(stack, "Data", settings=settings)
    machine = sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_string(json.dumps(_WAIT)))
    Cleanup(stack, "Cleanup", settings=settings, state_machine=machine, before=[machine])
    app.synth()
    return (out / f"{settings.stage}.template.json").read_text(encoding="utf-8")


def upload_assets(cloud: RunningCloud, out: Path, stage: str) -> None:
    """Put the functions' archives where the template looks for them."""
    s3 = cloud.client("s3")
    if _ASSETS not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=_ASSETS)
    for asset in json.loads((out / f"{stage}.assets.json").read_text(encoding="utf-8"))["files"].values():
        (destination,) = asset["destinations"].values()
        path = out / asset["source"]["path"]
        if path.suffix == ".zip":
            s3.put_object(Bucket=_ASSETS, Key=destination["objectKey"], Body=path.read_bytes())


@pytest.fixture
def deploy(cloud: RunningCloud, tmp_path: Path) -> Iterator[Callable[..., Deployed]]:
    """A function that deploys a small stage; deleted again after the test."""
    made: list[Deployed] = []

    def deployed(name: str, **values: Any) -> Deployed:
        settings = Settings(stage=name, poll_seconds=1, **values)
        out = tmp_path / name
        body = template_of(out, settings)
        upload_assets(cloud, out, name)
        stack = cloud.client("cloudformation").create_stack(
            StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"]
        )
        role = cloud.role(f"{name}-jobs", "sagemaker.amazonaws.com", allow(["s3:*", "kms:*", "logs:*"]))
        stage = Deployed(cloud, name, role)
        made.append(stage)
        assert stage.wait(stack["StackId"]) == "CREATE_COMPLETE"
        return stage

    yield deployed
    for stage in made:
        if stage.name in {each["StackName"] for each in cloud.client("cloudformation").describe_stacks()["Stacks"]}:
            stage.delete()


def make_model(stage: Deployed, bucket: str, name: str) -> None:
    """Make a model and an endpoint configuration of the same name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("model.txt"), io.BytesIO())
    stage.cloud.client("s3").put_object(Bucket=bucket, Key=f"models/{name}.tar.gz", Body=packed.getvalue())
    sagemaker = stage.cloud.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/models/{name}.tar.gz"}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=stage.role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def serve(stage: Deployed, bucket: str, endpoint: str, model: str) -> None:
    """Bring up an endpoint and wait for it."""
    sagemaker = stage.cloud.client("sagemaker")
    make_model(stage, bucket, model)
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=model)
    until(lambda: sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService")


def train(stage: Deployed, bucket: str, name: str) -> None:
    """Start a job that would take minutes."""
    stage.cloud.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=stage.role,
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        Environment={"SECONDS": "300"},
    )


def register(stage: Deployed, bucket: str) -> None:
    """Register two versions of a model."""
    sagemaker = stage.cloud.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=stage.prefix)
    for _ in range(2):
        sagemaker.create_model_package(
            ModelPackageGroupName=stage.prefix,
            InferenceSpecification={
                "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/models/model.tar.gz"}],
                "SupportedContentTypes": ["image/jpeg"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
        )


def scale(stage: Deployed) -> None:
    """Register the endpoint as something that scales."""
    stage.cloud.client("application-autoscaling").register_scalable_target(
        **_SCALING, ResourceId=f"endpoint/{stage.prefix}/variant/AllTraffic", MinCapacity=1, MaxCapacity=2
    )


def leave_data(stage: Deployed, bucket: str) -> None:
    """Leave two versions of an object, a deleted one, and an upload that was never finished."""
    s3 = stage.cloud.client("s3")
    for key in ("prepared/1.jpg", "prepared/1.jpg", "prepared/2.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"photo")
    s3.delete_object(Bucket=bucket, Key="prepared/2.jpg")
    s3.create_multipart_upload(Bucket=bucket, Key="models/large.tar.gz")


def everything(cloud: RunningCloud) -> dict[str, list[str]]:
    """Return the names of all that is there, by kind."""
    sagemaker, logs = cloud.client("sagemaker"), cloud.client("logs")
    targets = cloud.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/")["logGroups"]
    return {
        "endpoints": [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]],
        "configurations": [each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "models": [each["ModelName"] for each in sagemaker.list_models()["Models"]],
        "registries": [
            each["ModelPackageGroupName"]
            for each in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        ],
        "running jobs": [
            each["TrainingJobName"]
            for status in ("InProgress", "Stopping")
            for each in sagemaker.list_training_jobs(StatusEquals=status)["TrainingJobSummaries"]
        ],
        "scaling targets": [each["ResourceId"] for each in targets["ScalableTargets"]],
        "endpoint logs": [each["logGroupName"] for each in groups],
        "stacks": [each["StackName"] for each in cloud.client("cloudformation").describe_stacks()["Stacks"]],
        "buckets": [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]],
    }


@pytest.mark.slow
def test_nothing_that_an_execution_made_outlives_its_stack(
    cloud: RunningCloud, deploy: Callable[..., Deployed]
) -> None:
    neighbour = deploy("gone2", removal="retain")
    kept = "bystander"
    cloud.client("s3").create_bucket(Bucket=kept)
    serve(neighbour, kept, neighbour.prefix, f"{neighbour.prefix}-1")
    before = everything(cloud)

    stage = deploy("gone", customer_key=True)
    (bucket,) = [name for name in stage.resource("AWS::S3::Bucket") if "logs" not in name]
    (machine,) = stage.resource("AWS::StepFunctions::StateMachine")
    execution = cloud.client("stepfunctions").start_execution(stateMachineArn=machine)["executionArn"]
    serve(stage, bucket, stage.prefix, f"{stage.prefix}-1")
    serve(stage, bucket, f"{stage.prefix}-2", f"{stage.prefix}-2-rehearsal")
    scale(stage)
    register(stage, bucket)
    train(stage, bucket, f"{stage.prefix}-train-1")
    leave_data(stage, bucket)
    # Deleted in the middle of an update, which refuses deletion until it is over.
    make_model(stage, bucket, f"{stage.prefix}-3")
    cloud.client("sagemaker").update_endpoint(EndpointName=stage.prefix, EndpointConfigName=f"{stage.prefix}-3")

    assert stage.delete() == "DELETE_COMPLETE"

    assert everything(cloud) == before
    assert cloud.client("stepfunctions").describe_execution(executionArn=execution)["status"] == "ABORTED"
    shared = cloud.client("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/TrainingJobs")["logGroups"]
    assert [group["retentionInDays"] for group in shared] == [30]
    cloud.client("sagemaker").delete_endpoint(EndpointName=neighbour.prefix)
