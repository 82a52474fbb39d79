import io
from typing import Any

import pytest

from console import teardown
from console.errors import ConsoleError
from console.laptop import Laptop
from console.project import Project
from console.remains import TOOLKIT, Remainder, keepable, remaining
from console.screen import Screen
from contract.names import Stack
from tests.console.events import START
from tests.console.fakes import FakeCloud
from tests.console.test_stacks import stack

_ABSENT = "Stack with id X does not exist"


def _summary(kind: str, name: str) -> dict[str, Any]:
    return {
        "ResourceType": kind,
        "PhysicalResourceId": name,
        "LogicalResourceId": name,
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": START,
    }


def _has_stacks(cloud: FakeCloud, *names: Stack) -> None:
    for name in Stack:
        if name in names:
            cloud.stub("cloudformation").add_response("describe_stacks", stack(f"Pedigree-laptop-{name}"))
        else:
            cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", _ABSENT)


def _has_no_toolkit(cloud: FakeCloud, *registries: str) -> None:
    _has_registries(cloud, *registries)
    cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", _ABSENT)


def _has_registries(cloud: FakeCloud, *names: str) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package-group/"
    groups = [
        {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": f"{arn}{name}",
            "ModelPackageGroupStatus": "Completed",
            "CreationTime": START,
        }
        for name in names
    ]
    answer = {"ModelPackageGroupSummaryList": groups}
    cloud.stub("sagemaker").add_response("list_model_package_groups", answer, {"NameContains": "pedigree-laptop"})


def _has_nothing_of_sagemaker(cloud: FakeCloud) -> None:
    for operation, key in (
        ("list_endpoints", "Endpoints"),
        ("list_endpoint_configs", "EndpointConfigs"),
        ("list_models", "Models"),
    ):
        cloud.stub("sagemaker").add_response(operation, {key: []}, {"NameContains": "pedigree-laptop"})


class _Destroyed:
    """Stands in for a deployment; remembers that it was destroyed."""

    asked: int

    def __init__(self, *_: object) -> None:
        pass

    def destroy(self) -> None:
        type(self).asked += 1


@pytest.fixture
def destroyed(monkeypatch: pytest.MonkeyPatch) -> type[_Destroyed]:
    _Destroyed.asked = 0
    monkeypatch.setattr(teardown, "Deployment", _Destroyed)
    return _Destroyed


def test_the_stacks_delete_what_executions_made(
    cloud: FakeCloud, project: Project, screen: Screen, destroyed: type[_Destroyed]
) -> None:
    _has_stacks(cloud)
    _has_stacks(cloud, Stack.DATA)
    _has_nothing_of_sagemaker(cloud)
    _has_no_toolkit(cloud)
    teardown.take_down(project, cloud, screen)
    assert destroyed.asked == 1


def test_without_stacks_what_they_left_behind_is_deleted_by_name(
    cloud: FakeCloud, project: Project, screen: Screen, written: io.StringIO, destroyed: type[_Destroyed]
) -> None:
    _has_stacks(cloud)
    _has_stacks(cloud)
    sagemaker = cloud.stub("sagemaker")
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model/pedigree-laptop-1"
    model = {"ModelName": "pedigree-laptop-1", "ModelArn": arn, "CreationTime": START}
    sagemaker.add_response("list_endpoints", {"Endpoints": []})
    sagemaker.add_response("list_endpoint_configs", {"EndpointConfigs": []})
    sagemaker.add_response("list_models", {"Models": [model]})
    sagemaker.add_response("delete_model", {}, {"ModelName": "pedigree-laptop-1"})
    _has_no_toolkit(cloud)
    teardown.take_down(project, cloud, screen)
    assert destroyed.asked == 0
    assert "Deleted: Model pedigree-laptop-1" in written.getvalue()


def test_an_endpoint_that_is_being_changed_is_named(
    cloud: FakeCloud, project: Project, screen: Screen, destroyed: type[_Destroyed]
) -> None:
    _has_stacks(cloud)
    _has_stacks(cloud)
    times = {"CreationTime": START, "LastModifiedTime": START}
    arn = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/pedigree-laptop"
    endpoint = {"EndpointName": "pedigree-laptop", "EndpointArn": arn, "EndpointStatus": "Updating", **times}
    cloud.stub("sagemaker").add_response("list_endpoints", {"Endpoints": [endpoint]})
    cloud.stub("sagemaker").add_client_error("delete_endpoint", "ValidationException", "Cannot update in-progress")
    with pytest.raises(ConsoleError, match=r"Endpoint pedigree-laptop stays: .*in-progress"):
        teardown.take_down(project, cloud, screen)


def test_what_stays_is_told_with_the_command_that_deletes_it(
    cloud: FakeCloud, project: Project, screen: Screen, written: io.StringIO, destroyed: type[_Destroyed]
) -> None:
    _has_stacks(cloud, Stack.DATA)
    resources = [
        _summary("AWS::KMS::Key", "key-1"),
        _summary("AWS::IAM::Role", "role"),
        _summary("AWS::S3::Bucket", "photos"),
    ]
    cloud.stub("cloudformation").add_response("list_stack_resources", {"StackResourceSummaries": resources})
    _has_stacks(cloud, Stack.DATA)
    _has_nothing_of_sagemaker(cloud)
    cloud.stub("s3").add_response("head_bucket", {}, {"Bucket": "photos"})
    metadata = {"KeyId": "key-1", "KeyState": "Enabled"}
    cloud.stub("kms").add_response("describe_key", {"KeyMetadata": metadata}, {"KeyId": "key-1"})
    _has_registries(cloud)
    cloud.stub("cloudformation").add_response("describe_stacks", stack(TOOLKIT), {"StackName": TOOLKIT})
    teardown.take_down(project, cloud, screen)
    said = written.getvalue()
    # The key last: without it, nothing in the bucket can be read.
    assert said.index("bucket photos") < said.index("key key-1") < said.index(TOOLKIT)
    assert "aws kms schedule-key-deletion --key-id key-1" in said
    assert f"aws cloudformation delete-stack --stack-name {TOOLKIT}" in said
    assert "Bucket('photos')" in said or "Bucket('\"'\"'photos'\"'\"')" in said


def test_what_went_with_its_stack_is_not_told(cloud: FakeCloud) -> None:
    cloud.stub("s3").add_client_error("head_bucket", "404", http_status_code=404)
    cloud.stub("kms").add_response("describe_key", {"KeyMetadata": {"KeyId": "k", "KeyState": "PendingDeletion"}})
    cloud.stub("ecr").add_client_error("describe_repositories", "RepositoryNotFoundException")
    _has_no_toolkit(cloud)
    kept = [("AWS::S3::Bucket", "photos"), ("AWS::KMS::Key", "k"), ("AWS::ECR::Repository", "images")]
    assert remaining(cloud, kept) == []


def test_an_image_repository_stays_where_the_settings_retain_it(cloud: FakeCloud) -> None:
    cloud.stub("ecr").add_response("describe_repositories", {"repositories": []}, {"repositoryNames": ["images"]})
    _has_no_toolkit(cloud)
    command = "aws ecr delete-repository --force --repository-name images"
    kept = [("AWS::ECR::Repository", "images")]
    assert remaining(cloud, kept) == [Remainder("image repository images", command)]


def test_the_registry_of_models_stays_where_the_settings_retain_it(cloud: FakeCloud) -> None:
    _has_no_toolkit(cloud, "pedigree-laptop", "pedigree-laptop2")
    (registry,) = remaining(cloud, [])
    assert registry.what == "model registry pedigree-laptop"
    assert registry.command.endswith(
        "aws sagemaker delete-model-package-group --model-package-group-name pedigree-laptop"
    )


def test_a_stage_without_stacks_keeps_nothing(cloud: FakeCloud) -> None:
    _has_stacks(cloud)
    assert keepable(cloud) == []


def test_on_the_laptop_the_whole_state_goes_at_once(project: Project, screen: Screen, written: io.StringIO) -> None:
    state = project.local_cloud
    (state / "s3").mkdir(parents=True)
    (state / "s3" / "photo.jpg").write_bytes(b"photo")
    teardown.take_down(project, Laptop(project, screen), screen)
    assert not state.exists()
    assert not list(state.parent.glob("*.removed"))
    assert f"Removed {state}" in written.getvalue()
