"""How scalable targets are named, for the service and for the evaluation of permissions."""

import hashlib
import re
from typing import Final

SERVICE: Final = "application-autoscaling"
TARGET_PREFIX: Final = "AnyScaleFrontendService"
NAMESPACE: Final = "sagemaker"
DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
_VARIANT = re.compile(r"endpoint/([a-zA-Z0-9-]+)/variant/([a-zA-Z0-9-]+)")


def variant_of(resource_id: str) -> tuple[str, str] | None:
    """Return the names of endpoint and variant; None where the resource is no variant."""
    found = _VARIANT.fullmatch(resource_id)
    return (found[1], found[2]) if found else None


def target_arn(resource_id: str, dimension: str, region: str, account: str) -> str:
    """Return the ARN of a scalable target; the same for the same resource and dimension."""
    name = hashlib.sha256(f"{resource_id}|{dimension}".encode()).hexdigest()[:34]
    return f"arn:aws:{SERVICE}:{region}:{account}:scalable-target/{name}"
