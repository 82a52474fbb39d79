"""What CloudFormation sends to a custom resource, and clients that answer as told."""

from typing import Any

import boto3
from botocore.stub import Stubber

PREFIX = "pedigree-dev"


def event(request_type: str, **properties: Any) -> dict[str, Any]:
    """Return what CloudFormation sends."""
    return {
        "RequestType": request_type,
        "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
        "RequestId": "1",
        "LogicalResourceId": "Cleanup",
        "ResourceProperties": {"Prefix": PREFIX, "LogGroups": [], "LogDays": "30", **properties},
    }


class Context:
    """A function's invocation that may take a while."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def stubbed(service: str) -> tuple[Any, Stubber]:
    make: Any = boto3.client
    client = make(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return client, Stubber(client)
