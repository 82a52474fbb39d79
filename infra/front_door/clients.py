"""The AWS clients besides the endpoint's, each made once per container at its first use."""

import functools
from typing import Any, Final

import boto3
from botocore.config import Config

# Short, since a person waits; what these are asked changes nothing, so asking twice is safe.
_PATIENCE: Final[dict[str, Any]] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
}


@functools.cache
def s3() -> Any:
    """Return the client of the bucket, which signs addresses for its own region, too."""
    config = Config(**_PATIENCE, signature_version="s3v4", s3={"us_east_1_regional_endpoint": "regional"})
    return boto3.client("s3", config=config)


@functools.cache
def sagemaker() -> Any:
    """Return the client that looks at endpoint and registry."""
    return boto3.client("sagemaker", config=Config(**_PATIENCE))
