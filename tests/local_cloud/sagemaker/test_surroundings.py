"""What a job or a model runs in: an isolated network, a VPC, a warm pool, or no instance at all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.sagemaker.service import ServiceError
from local_cloud.sagemaker.warm_pools import status_at
from tests.local_cloud.sagemaker.stand_in import IMAGE, ROLE, Cloud, channel, wait_for
from tests.local_cloud.sagemaker.test_endpoints import ask, tar_gz

AWS = "AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY,AWS_ENDPOINT_URL,AWS_CA_BUNDLE,AWS_SESSION_TOKEN"
WARM = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10, "KeepAlivePeriodInSeconds": 600}


def test_an_isolated_job_knows_no_credentials_and_gets_its_channels_all_the_same(cloud: Cloud) -> None:
    cloud.s3.objects["bucket/photos/1.jpg"] = b"photo"
    script = f"""
assert not [name for name in "{AWS}".split(",") if name in os.environ], sorted(os.environ)
(base / "model/seen").write_bytes((base / "input/data/photos/1.jpg").read_bytes())
"""
    isolated: dict[str, Any] = {"EnableNetworkIsolation": True}
    cloud.train("isolated", script, InputDataConfig=[channel("photos", "s3://bucket/photos")], **isolated)
    job = cloud.job("isolated")
    assert (job["TrainingJobStatus"], job["EnableNetworkIsolation"]) == ("Completed", True)
    assert "bucket/models/isolated/output/model.tar.gz" in cloud.s3.objects


@pytest.mark.parametrize("isolated", [True, False])
def test_an_isolated_model_serves_without_credentials(cloud: Cloud, isolated: bool) -> None:
    cloud.s3.objects["bucket/model.tar.gz"] = tar_gz(answer_txt="environment")
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}
    cloud.sagemaker.create_model(
        ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=isolated
    )
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    cloud.sagemaker.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[variant])
    cloud.sagemaker.create_endpoint(EndpointName="dogs", EndpointConfigName="m")
    cloud.endpoint("dogs")
    known = set(ask(cloud).split()[0].split(",")) & set(AWS.split(","))
    assert known == (set() if isolated else {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"})


def test_what_a_job_leaves_is_encrypted_with_the_key_it_is_given(cloud: Cloud) -> None:
    output = {"S3OutputPath": "s3://bucket/models", "KmsKeyId": "key"}
    cloud.train("packed", "", OutputDataConfig=output)
    cloud.train("plain", "(base / 'model/a').touch()", OutputDataConfig={**output, "CompressionType": "NONE"})
    cloud.job("packed")
    cloud.job("plain")
    left = {key: how for key, how in cloud.s3.encryption.items() if key.startswith("bucket/models/")}
    assert left.keys() == {"bucket/models/packed/output/model.tar.gz", "bucket/models/plain/output/model/a"}
    assert all(how == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"} for how in left.values())


def test_a_vpc_is_written_down(cloud: Cloud) -> None:
    vpc = {"Subnets": ["subnet-0123456789"], "SecurityGroupIds": ["sg-0123456789"]}
    cloud.train("in-vpc", "", VpcConfig=vpc)
    assert cloud.job("in-vpc")["VpcConfig"] == vpc
    cloud.sagemaker.create_model(
        ModelName="in-vpc", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE, VpcConfig=vpc
    )
    assert cloud.sagemaker.describe_model(ModelName="in-vpc")["VpcConfig"] == vpc
    with pytest.raises(ClientError, match="securityGroupIds"):
        cloud.train("half", "", VpcConfig={**vpc, "SecurityGroupIds": ["no security group"]})


def test_a_warm_instance_is_taken_over_by_the_next_job_like_it(cloud: Cloud, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"while not pathlib.Path({str(seen)!r}).exists(): time.sleep(0.02)"
    cloud.train("first", script, ResourceConfig=WARM)
    assert cloud.sagemaker.describe_training_job(TrainingJobName="first")["WarmPoolStatus"]["Status"] == "InUse"
    seen.touch()
    assert cloud.job("first")["WarmPoolStatus"]["Status"] == "Available"
    cloud.train("other", "", ResourceConfig={**WARM, "VolumeSizeInGB": 20})
    cloud.train("second", "", ResourceConfig=WARM)
    assert cloud.job("first")["WarmPoolStatus"]["Status"] == "Reused"
    assert cloud.job("first")["WarmPoolStatus"]["ReusedByJob"] == "second"
    cloud.train("cold", "")
    assert "WarmPoolStatus" not in cloud.job("cold")


def test_a_warm_instance_does_not_wait_for_ever() -> None:
    ended = datetime.now(UTC)
    job = {"ResourceConfig": WARM, "TrainingEndTime": ended}
    assert status_at(job, ended + timedelta(seconds=599)) == {
        "Status": "Available",
        "ResourceRetainedBillableTimeInSeconds": 599,
    }
    assert status_at(job, ended + timedelta(seconds=600)) == {
        "Status": "Terminated",
        "ResourceRetainedBillableTimeInSeconds": 600,
    }


def test_spot_instances_are_not_kept(cloud: Cloud) -> None:
    stopping = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}
    spot: dict[str, Any] = {"EnableManagedSpotTraining": True}
    with pytest.raises(ClientError, match="KeepAlivePeriodInSeconds is not allowed"):
        cloud.train("spot", "", ResourceConfig=WARM, StoppingCondition=stopping, **spot)


def test_jobs_fail_for_want_of_capacity_as_often_as_asked(cloud: Cloud) -> None:
    cloud.service.refuse_capacity(2)
    for name in ("first", "second", "third"):
        cloud.train(name, "")
    for name in ("first", "second"):
        job = cloud.job(name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity")
        assert "TrainingStartTime" not in job
    assert cloud.job("third")["TrainingJobStatus"] == "Completed"


def test_what_a_test_asks_for_is_checked(cloud: Cloud) -> None:
    with pytest.raises(ServiceError, match="LocalRefuseCapacity takes Jobs"):
        cloud.service.handle("LocalRefuseCapacity", {"Jobs": "two"})


def test_a_running_job_can_be_stopped(cloud: Cloud) -> None:
    cloud.train("long", "print('started', flush=True)\ntime.sleep(60)")
    wait_for(lambda: "started" in cloud.log_of("long"))
    cloud.sagemaker.stop_training_job(TrainingJobName="long")
    assert cloud.job("long")["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped"):
        cloud.sagemaker.stop_training_job(TrainingJobName="long")
