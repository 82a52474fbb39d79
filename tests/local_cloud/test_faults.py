"""What AWS may do at any time, and a test may ask the local cloud for."""

import pytest

from tests.local_cloud.conftest import IMAGE, RunningCloud, allow


def test_there_may_be_no_instance_for_a_job(cloud: RunningCloud) -> None:
    cloud.client("s3").create_bucket(Bucket="faults")
    role = cloud.role("unlucky", "sagemaker.amazonaws.com", allow("s3:*"))
    cloud.fault("LocalRefuseCapacity", Jobs=1)
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName="unlucky",
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://faults/out"},
        ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    with pytest.raises(Exception, match="Failed"):
        waiter.wait(TrainingJobName="unlucky", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    assert sagemaker.describe_training_job(TrainingJobName="unlucky")["FailureReason"].startswith("CapacityError: ")


def test_nobody_asks_for_a_fault_without_the_permission(cloud: RunningCloud) -> None:
    with pytest.raises(AssertionError, match="UnrecognizedClientException"):
        cloud.fault("LocalRefuseCapacity", key=("AKIAAAAAAAAAAAAAAAAA", "secret"), Jobs=1)
