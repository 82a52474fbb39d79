"""What is still there after a stage was deleted, and how to delete that too."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.stacks import describe_stack, describe_stacks
from contract.names import PROJECT

# Of the CDK itself: one for all CDK apps of an account and region.
TOOLKIT: Final = "CDKToolkit"
_GONE: Final = ("404", "NoSuchBucket", "NotFoundException", "RepositoryNotFoundException")
_EMPTY: Final = (
    "import boto3; bucket = boto3.resource('s3').Bucket('{}'); bucket.object_versions.delete(); bucket.delete()"
)
# A group is deleted only once it is empty.
_DELETE_REGISTRY: Final = (
    "for arn in $(aws sagemaker list-model-packages --model-package-group-name {0} --output text "
    "--query ModelPackageSummaryList[].ModelPackageArn); do aws sagemaker delete-model-package "
    "--model-package-name $arn; done; aws sagemaker delete-model-package-group --model-package-group-name {0}"
)


@dataclass(frozen=True)
class _Kind:
    """One kind of resources that can outlive their stack."""

    word: str
    exists: Callable[[Cloud, str], bool]
    command: Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Remainder:
    """One thing that stays, and the command that deletes it."""

    what: str
    command: str


def _bucket_exists(cloud: Cloud, name: str) -> bool:
    cloud.client("s3").head_bucket(Bucket=name)
    return True


def _repository_exists(cloud: Cloud, name: str) -> bool:
    cloud.client("ecr").describe_repositories(repositoryNames=[name])
    return True


def _key_exists(cloud: Cloud, name: str) -> bool:
    metadata: Mapping[str, Any] = cloud.client("kms").describe_key(KeyId=name)["KeyMetadata"]
    return bool(metadata["KeyState"] != "PendingDeletion")


_KINDS: Final[Mapping[str, _Kind]] = {
    "AWS::S3::Bucket": _Kind(
        "bucket",
        _bucket_exists,
        lambda name: ("python", "-c", _EMPTY.format(name)),
    ),
    "AWS::ECR::Repository": _Kind(
        "image repository",
        _repository_exists,
        lambda name: ("aws", "ecr", "delete-repository", "--force", "--repository-name", name),
    ),
    # After the buckets that it encrypts: nothing in them can be read without it.
    "AWS::KMS::Key": _Kind(
        "key",
        _key_exists,
        lambda name: ("aws", "kms", "schedule-key-deletion", "--key-id", name),
    ),
}


def keepable(cloud: Cloud) -> list[tuple[str, str]]:
    """Return type and id of what the stage's stacks hold and may leave behind; to be asked before they go."""
    found = []
    for state in describe_stacks(cloud).values():
        if state is not None:
            pages = cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=state.name)
            found += [
                (each["ResourceType"], each["PhysicalResourceId"])
                for page in pages
                for each in page["StackResourceSummaries"]
                if each["ResourceType"] in _KINDS and "PhysicalResourceId" in each
            ]
    return sorted(found, key=lambda each: list(_KINDS).index(each[0]))


def remaining(cloud: Cloud, kept: Sequence[tuple[str, str]]) -> list[Remainder]:
    """Return those of ``keepable`` that are still there, and what belongs to no stage."""
    found = [
        Remainder(f"{_KINDS[kind].word} {name}", shlex.join(_KINDS[kind].command(name)))
        for kind, name in kept
        if _exists(cloud, kind, name)
    ]
    found += _registry(cloud, f"{PROJECT}-{cloud.stage}")
    if describe_stack(cloud, TOOLKIT) is not None:
        command = ("aws", "cloudformation", "delete-stack", "--stack-name", TOOLKIT)
        found.append(Remainder(f"stack {TOOLKIT}, which all CDK apps of this region use", shlex.join(command)))
    return found


def _registry(cloud: Cloud, name: str) -> list[Remainder]:
    """Return the registry of the stage's models; executions made it, so no stack holds it."""
    groups = cloud.client("sagemaker").list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    if name not in [group["ModelPackageGroupName"] for group in groups]:
        return []
    return [Remainder(f"model registry {name}", _DELETE_REGISTRY.format(name))]


def _exists(cloud: Cloud, kind: str, name: str) -> bool:
    try:
        return _KINDS[kind].exists(cloud, name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
