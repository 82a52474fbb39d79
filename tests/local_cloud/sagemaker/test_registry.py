"""The model registry: groups and the versions in them."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.sagemaker.stand_in import IMAGE, Cloud, MemoryS3, Server, new_cloud, write_image

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def register(cloud: Cloud, group: str = "dogs", **members: Any) -> str:
    """Register a model and return its package's ARN."""
    arn: str = cloud.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={"Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}]},
        ModelApprovalStatus="PendingManualApproval",
        **members,
    )["ModelPackageArn"]
    return arn


def test_packages_are_numbered_and_a_number_is_never_used_again(cloud: Cloud) -> None:
    created = cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
    assert created["ModelPackageGroupArn"] == f"{ARN}:model-package-group/dogs"
    assert [register(cloud), register(cloud)] == [f"{ARN}:model-package/dogs/{number}" for number in (1, 2)]
    cloud.sagemaker.delete_model_package(ModelPackageName=f"{ARN}:model-package/dogs/2")
    assert register(cloud) == f"{ARN}:model-package/dogs/3"
    found = cloud.sagemaker.list_model_packages(ModelPackageGroupName="dogs")["ModelPackageSummaryList"]
    assert [package["ModelPackageVersion"] for package in found] == [3, 1]


def test_a_package_keeps_what_it_was_registered_with(cloud: Cloud) -> None:
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
    statistics = {"ContentType": "application/json", "S3Uri": "s3://bucket/metrics.json"}
    metrics = {"ModelQuality": {"Statistics": statistics}}
    arn = register(cloud, ModelMetrics=metrics, CustomerMetadataProperties={"fingerprint": "f"})
    found = cloud.sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelMetrics"] == metrics
    assert found["CustomerMetadataProperties"] == {"fingerprint": "f"}
    assert (found["ModelPackageStatus"], found["ModelApprovalStatus"]) == ("Completed", "PendingManualApproval")
    assert found["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE


def test_approval_and_properties_can_be_changed(cloud: Cloud) -> None:
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
    arn = register(cloud, CustomerMetadataProperties={"a": "1", "b": "2"})
    cloud.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Rejected",
        ApprovalDescription="below the floor",
        CustomerMetadataProperties={"c": "3"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    found = cloud.sagemaker.describe_model_package(ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Rejected", "below the floor")
    assert found["CustomerMetadataProperties"] == {"b": "2", "c": "3"}


def test_packages_are_listed_by_group_and_approval(cloud: Cloud) -> None:
    for group in ("dogs", "cats"):
        cloud.sagemaker.create_model_package_group(ModelPackageGroupName=group)
        cloud.sagemaker.update_model_package(ModelPackageArn=register(cloud, group), ModelApprovalStatus="Approved")
    register(cloud)

    def listed(**wanted: str) -> list[str]:
        found = cloud.sagemaker.list_model_packages(**wanted)["ModelPackageSummaryList"]
        return [package["ModelPackageArn"].rpartition("model-package/")[2] for package in found]

    assert listed(ModelPackageGroupName="dogs", ModelApprovalStatus="Approved") == ["dogs/1"]
    assert listed(ModelPackageGroupName="dogs", SortOrder="Ascending") == ["dogs/1", "dogs/2"]
    assert listed(ModelPackageType="Versioned", NameContains="cat") == ["cats/1"]
    assert listed() == []
    groups = cloud.sagemaker.list_model_package_groups(NameContains="og")["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in groups] == ["dogs"]


def test_a_group_is_deleted_once_it_is_empty(cloud: Cloud) -> None:
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs", Tags=[{"Key": "a", "Value": "1"}])
    arn = register(cloud)
    with pytest.raises(ClientError, match="still contains model packages") as refused:
        cloud.sagemaker.delete_model_package_group(ModelPackageGroupName="dogs")
    assert refused.value.response["Error"]["Code"] == "ConflictException"
    cloud.sagemaker.delete_model_package(ModelPackageName=arn)
    cloud.sagemaker.delete_model_package_group(ModelPackageGroupName="dogs")
    with pytest.raises(ClientError, match=f"ModelPackageGroup {ARN}:model-package-group/dogs does not exist."):
        cloud.sagemaker.describe_model_package_group(ModelPackageGroupName="dogs")
    assert cloud.sagemaker.list_tags(ResourceArn=f"{ARN}:model-package-group/dogs")["Tags"] == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"ModelPackageGroupName": "none"}, "model-package-group/none does not exist"),
        ({"ModelPackageGroupName": "dogs", "ModelPackageName": "a"}, "Both ModelPackageName and ModelPackageGroupName"),
        ({"ModelPackageName": "a"}, "unversioned model packages run on AWS only"),
        ({"ModelPackageGroupName": "dogs", "Tags": [{"Key": "a", "Value": "1"}]}, "those of its group hold"),
    ],
)
def test_what_cannot_be_registered_is_refused(cloud: Cloud, request_: dict[str, Any], words: str) -> None:
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
    with pytest.raises(ClientError, match=words) as refused:
        cloud.sagemaker.create_model_package(**request_)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_group_and_a_package_that_are_there_or_not_are_worded_as_on_aws(cloud: Cloud) -> None:
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
    with pytest.raises(ClientError, match=f"Model Package Group already exists: {ARN}:model-package-group/dogs"):
        cloud.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
    with pytest.raises(ClientError, match=f"ModelPackage {ARN}:model-package/dogs/7 does not exist."):
        cloud.sagemaker.describe_model_package(ModelPackageName=f"{ARN}:model-package/dogs/7")


def test_the_registry_outlives_a_restart(tmp_path: Path, s3: MemoryS3) -> None:
    write_image(tmp_path / "bin")
    first = new_cloud(tmp_path, s3)
    with Server(first):
        first.sagemaker.create_model_package_group(ModelPackageGroupName="dogs")
        arn = register(first)
    second = new_cloud(tmp_path, s3)
    with Server(second):
        assert second.sagemaker.describe_model_package(ModelPackageName=arn)["ModelPackageVersion"] == 1
        assert register(second).endswith("dogs/2")
