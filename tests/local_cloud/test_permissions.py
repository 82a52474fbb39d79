import json
from typing import Any

from local_cloud.permissions import Check, checks

_ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def _checks(operation: str, **request: Any) -> list[Check]:
    return checks(f"SageMaker.{operation}", "/", json.dumps(request).encode(), "us-east-1", "000000000000")


def test_an_operation_needs_its_own_resource() -> None:
    assert _checks("DescribeTrainingJob", TrainingJobName="a") == [
        Check("sagemaker:DescribeTrainingJob", f"{_ARN}:training-job/a")
    ]


def test_a_transform_job_needs_no_permission_on_its_model() -> None:
    found = _checks("CreateTransformJob", TransformJobName="a", ModelName="b")
    assert found == [Check("sagemaker:CreateTransformJob", f"{_ARN}:transform-job/a")]


def test_an_endpoint_is_made_of_a_configuration_that_is_checked_too() -> None:
    found = _checks("CreateEndpoint", EndpointName="a", EndpointConfigName="b")
    assert [check.resource for check in found] == [f"{_ARN}:endpoint/a", f"{_ARN}:endpoint-config/b"]


def test_handing_over_a_role_needs_the_right_to_pass_it() -> None:
    role = "arn:aws:iam::000000000000:role/job"
    found = _checks(
        "CreateHyperParameterTuningJob", HyperParameterTuningJobName="a", TrainingJobDefinition={"RoleArn": role}
    )
    assert found[1] == Check("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"})


def test_the_trials_of_a_tuning_job_are_listed_under_the_tuning_job() -> None:
    found = _checks("ListTrainingJobsForHyperParameterTuningJob", HyperParameterTuningJobName="a")
    assert found[0].resource == f"{_ARN}:hyper-parameter-tuning-job/a"


def test_a_model_package_is_registered_in_its_group() -> None:
    found = _checks("CreateModelPackage", ModelPackageGroupName="a", InferenceSpecification={"Containers": []})
    assert found == [
        Check("sagemaker:CreateModelPackage", f"{_ARN}:model-package-group/a"),
        Check("sagemaker:CreateModelPackage", f"{_ARN}:model-package/a/*"),
    ]


def test_a_model_package_is_named_by_its_arn() -> None:
    for operation, member in (("DescribeModelPackage", "ModelPackageName"), ("UpdateModelPackage", "ModelPackageArn")):
        arn = f"{_ARN}:model-package/a/3"
        assert _checks(operation, **{member: arn}) == [Check(f"sagemaker:{operation}", arn)]


def test_the_packages_of_a_group_are_listed_under_the_group() -> None:
    assert _checks("ListModelPackages", ModelPackageGroupName="a")[0].resource == f"{_ARN}:model-package-group/a"
    assert _checks("ListModelPackages")[0].resource == "*"


def test_tags_on_creation_need_a_permission_of_their_own() -> None:
    found = _checks("CreateEndpointConfig", EndpointConfigName="a", Tags=[{"Key": "k", "Value": "v"}])
    assert found[1] == Check("sagemaker:AddTags", f"{_ARN}:endpoint-config/a")
    assert len(_checks("CreateEndpointConfig", EndpointConfigName="a", Tags=[])) == 1


def test_whoever_has_alarms_watched_must_be_allowed_to_look_at_them() -> None:
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "slow"}]}}
    found = _checks("UpdateEndpoint", EndpointName="a", EndpointConfigName="b", DeploymentConfig=rollback)
    assert found[-1] == Check("cloudwatch:DescribeAlarms", "arn:aws:cloudwatch:us-east-1:000000000000:alarm:slow")


def test_a_list_is_of_everything() -> None:
    assert _checks("ListTrainingJobs", NameContains="a")[0].resource == "*"


def test_the_runtime_names_the_endpoint_in_its_path() -> None:
    found = checks("", "/endpoints/a/invocations", b"\xff\xd8", "us-east-1", "000000000000")
    assert found == [Check("sagemaker:InvokeEndpoint", f"{_ARN}:endpoint/a")]


def test_a_request_that_is_no_json_is_left_to_the_service_to_refuse() -> None:
    found = checks("SageMaker.CreateModel", "/", b"{", "us-east-1", "000000000000")
    assert found == [Check("sagemaker:CreateModel", "*")]
