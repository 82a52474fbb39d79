"""Deleting a stack takes along what executions made, under the very roles that the template gives."""

from collections.abc import Callable

import pytest

from tests.local_cloud.conftest import IMAGE, RunningCloud
from tests.local_cloud.lifecycle.stage import Deployed, make_model, scale, serve, until


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
    # Its first lines are stored a moment after it is in service.
    until(lambda: f"/aws/sagemaker/Endpoints/{neighbour.prefix}" in everything(cloud)["endpoint logs"])
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
