"""The reaper at work, under the role that the template gives it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.reaper.memory import TAG, Memory
from infra.settings import Reaper
from tests.local_cloud.conftest import RunningCloud
from tests.local_cloud.lifecycle.stage import Deployed, scale, serve, until

HOUR = timedelta(hours=1)


def look(stage: Deployed) -> str:
    """Have the reaper look, and return what it says."""
    (function,) = [name for name in stage.resource("AWS::Lambda::Function") if "Reaper" in name]
    answer = stage.cloud.client("lambda").invoke(FunctionName=function)
    said: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, said
    return str(said["state"])


def forget(stage: Deployed) -> None:
    """Have the reaper believe that nobody has come for a day, and that this was told two hours ago."""
    now = datetime.now(UTC)
    sagemaker = stage.cloud.client("sagemaker")
    found = sagemaker.describe_endpoint(EndpointName=stage.prefix)
    memory = Memory(found["EndpointConfigName"], now - 24 * HOUR, now - 2 * HOUR)
    sagemaker.add_tags(ResourceArn=found["EndpointArn"], Tags=[{"Key": TAG, "Value": str(memory)}])


@pytest.mark.slow
def test_an_idle_endpoint_is_deleted_after_a_notice_and_one_that_is_asked_is_not(
    cloud: RunningCloud, deploy: Callable[..., Deployed]
) -> None:
    stage = deploy("idle", customer_key=True, reaper=Reaper(idle_hours=12))
    sagemaker, config = cloud.client("sagemaker"), f"{stage.prefix}-1"
    (bucket,) = [name for name in stage.resource("AWS::S3::Bucket") if "logs" not in name]
    assert "is not there" in look(stage)
    serve(stage, bucket, stage.prefix, config)
    scale(stage)
    assert "was not seen before" in look(stage)
    assert "not idle for long" in look(stage)
    arn = sagemaker.describe_endpoint(EndpointName=stage.prefix)["EndpointArn"]
    long_ago = Memory(config, datetime.now(UTC) - 24 * HOUR)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": TAG, "Value": str(long_ago)}])
    assert "told" in look(stage)
    forget(stage)
    assert "deleted" in look(stage)
    until(lambda: not sagemaker.list_endpoints(NameContains=stage.prefix)["Endpoints"])
    targets = cloud.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert not targets["ScalableTargets"]

    # One command, and it is there again: its configuration and its model were kept.
    sagemaker.create_endpoint(EndpointName=stage.prefix, EndpointConfigName=config)
    until(lambda: sagemaker.describe_endpoint(EndpointName=stage.prefix)["EndpointStatus"] == "InService")
    cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=stage.prefix, Body=b"photo")
    forget(stage)
    assert "not idle for long" in until(lambda: kept(stage)), "one request is enough"


def kept(stage: Deployed) -> str:
    """Return what the reaper says once CloudWatch knows of the request."""
    metrics = stage.cloud.client("cloudwatch").list_metrics(Namespace="AWS/SageMaker", MetricName="Invocations")
    own = {"Name": "EndpointName", "Value": stage.prefix}
    return look(stage) if any(own in each["Dimensions"] for each in metrics["Metrics"]) else ""
