"""Custom resource, first half: starts the build of one image unless it exists already."""

from typing import Any

import boto3
from botocore.exceptions import ClientError


def handle(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the image's tag, and the id of the build that was started for it, if any."""
    properties = event["ResourceProperties"]
    tag = f"{properties['Target']}-{properties['Tag']}"
    answer: dict[str, Any] = {"PhysicalResourceId": tag, "Data": {"ImageTag": tag}}
    # Deleting an image is left to the repository: its lifecycle rule keeps the newest ones for a roll-back.
    if event["RequestType"] != "Delete" and not exists(properties["Repository"], tag):
        build = boto3.client("codebuild").start_build(
            projectName=properties["Project"],
            environmentVariablesOverride=[{"name": "TARGET", "value": properties["Target"], "type": "PLAINTEXT"}],
        )
        answer["BuildId"] = build["build"]["id"]
    return answer


def exists(repository: str, tag: str) -> bool:
    """Return whether the repository holds an image with this tag."""
    try:
        boto3.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            return False
        raise
    return True
