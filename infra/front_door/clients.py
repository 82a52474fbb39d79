"""The AWS clients, each made once per container at its first use.

Of botocore alone: boto3 brings S3's transfers along, which nothing here needs, and takes a fifth longer to import.
"""

import functools
import os
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

# Short, since a person waits; what these are asked changes nothing, so asking twice is safe.
_PATIENCE: Final[dict[str, Any]] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
}


@functools.cache
def _session() -> Any:
    return botocore.session.Session()


def make_client(service: str, config: Config) -> Any:
    """Return a new client with the function's credentials, in its region."""
    return _session().create_client(service, config=config)


@functools.cache
def s3() -> Any:
    """Return the client of the bucket, which signs addresses for its own region, too."""
    config = Config(**_PATIENCE, signature_version="s3v4", s3={"us_east_1_regional_endpoint": "regional"})
    return make_client("s3", config)


@functools.cache
def sagemaker() -> Any:
    """Return the client that looks at endpoint and registry."""
    return make_client("sagemaker", Config(**_PATIENCE))


def read_object(key: str) -> bytes | None:
    """Return what the bucket holds under a key; None: nothing."""
    try:
        content: bytes = s3().get_object(Bucket=os.environ["BUCKET"], Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    return content
