"""A stage as small as it can be, deployed on the local cloud with the constructs that every stage has."""

import io
import json
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import App, DefaultStackSynthesizer, Stack
from aws_cdk import aws_stepfunctions as sfn

from infra.cleanup.construct import Cleanup
from infra.data import DataBucket
from infra.reaper.construct import Reaper
from infra.settings import Settings
from infra.watch.notices import Notices
from tests.local_cloud.conftest import IMAGE, ROOT, RunningCloud

_ASSETS = "cdk-hnb659fds-assets-000000000000-us-east-1"
_WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}


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
        return self.wait(str(arn))

    def wait(self, arn: str) -> str:
        """Return the stack's status once its present operation is over."""

        def status() -> str:
            (stack,) = self.cloud.client("cloudformation").describe_stacks(StackName=arn)["Stacks"]
            found = str(stack["StackStatus"])
            return "" if found.endswith("_IN_PROGRESS") else found

        return str(until(status))


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first value that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)
    return value


def template_of(out: Path, settings: Settings) -> str:
    """Synthesize a small stack with what every stage has for its data and its end."""
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    app = App(outdir=str(out), context=context)
    stack = Stack(app, settings.stage, synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False))
    data = DataBucket(stack, "Data", settings=settings)
    machine = sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_string(json.dumps(_WAIT)))
    Cleanup(stack, "Cleanup", settings=settings, state_machine=machine, before=[machine])
    Reaper(
        stack,
        "Reaper",
        patience=settings.reaper,
        endpoint_name=settings.prefix,
        state_machine_arn=machine.state_machine_arn,
        notices=Notices(stack, "Notices", prefix=settings.prefix, email=None, key=data.key),
    )
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


def scale(stage: Deployed) -> None:
    """Register the endpoint as something that scales."""
    stage.cloud.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        ResourceId=f"endpoint/{stage.prefix}/variant/AllTraffic",
        MinCapacity=1,
        MaxCapacity=2,
    )
