"""Custom resource of an image, first half: starts its build unless it exists, and leaves the answer to the second."""

import json
import logging
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from infra.cleanup.cloudformation import respond

# What the second half needs to answer; it travels as a variable of the build, which is there as long as the build is.
ADDRESS: Final = "CLOUDFORMATION_REQUEST"
ADDRESS_KEYS: Final = ("ResponseURL", "StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")
_logger: Final = logging.getLogger("pedigree")


def handle(event: dict[str, Any], context: object) -> None:
    """Answer CloudFormation, or start a build, at whose end end_build.py answers.

    Properties of the resource: Project, Repository, Target, Tag.
    """
    properties = event["ResourceProperties"]
    tag = f"{properties['Target']}-{properties['Tag']}"
    name = f"image-{properties['Target']}"
    reason = ""
    try:
        # Deleting an image is left to the repository: its lifecycle rule keeps the newest ones for a roll-back.
        if event["RequestType"] != "Delete" and not exists(properties["Repository"], tag):
            start({"PhysicalResourceId": name, **event})
            return
    except Exception as error:
        _logger.exception("%s of %s", event["RequestType"], tag)
        reason = f"{type(error).__name__}: {error}"
    respond(event, name, reason=reason, data={"ImageTag": tag})


def start(event: dict[str, Any]) -> None:
    """Start the build of a target; the same request again, as Lambda repeats them, starts no second one."""
    variables = {
        "TARGET": event["ResourceProperties"]["Target"],
        ADDRESS: json.dumps({key: event[key] for key in ADDRESS_KEYS}),
    }
    boto3.client("codebuild").start_build(
        projectName=event["ResourceProperties"]["Project"],
        environmentVariablesOverride=[
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
        idempotencyToken=event["RequestId"],
    )


def exists(repository: str, tag: str) -> bool:
    """Return whether the repository holds an image with this tag."""
    try:
        boto3.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            return False
        raise
    return True
