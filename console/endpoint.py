"""The endpoint that serves the trained model."""

import time
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.errors import ConsoleError

_CHANGING: Final = ("Creating", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True)
class EndpointState:
    """One endpoint's status."""

    name: str
    status: str
    reason: str

    @property
    def is_serving(self) -> bool:
        """Whether it answers; one that is being updated still serves the former model."""
        return self.status in ("InService", "Updating", "SystemUpdating", "RollingBack")


def describe_endpoint(cloud: Cloud, name: str) -> EndpointState | None:
    """Return the endpoint's state, or None where there is none."""
    try:
        found: dict[str, Any] = cloud.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return None
        raise
    return EndpointState(name, found["EndpointStatus"], found.get("FailureReason", ""))


def await_endpoint(cloud: Cloud, name: str, seconds: float) -> EndpointState | None:
    """Return the endpoint's state once it is not changing any more; None where there is none.

    Raises:
        ConsoleError: it is still changing after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        state = describe_endpoint(cloud, name)
        if state is None or state.status not in _CHANGING:
            return state
        if time.monotonic() > deadline:
            raise ConsoleError(f"The endpoint {name} is still {state.status} after {seconds:.0f} s.")
        time.sleep(0.5)


def delete_endpoints(cloud: Cloud, prefix: str) -> list[str]:
    """Delete the endpoints, endpoint configurations and models of a stage; returns what was deleted.

    Executions make them, so no stack knows them. Their names are ``prefix`` or begin with it and a hyphen. A stage's
    stack deletes them with itself; this is for those of a stack that is gone.

    Raises:
        ConsoleError: something could not be deleted, such as an endpoint that is being changed; names it.
    """
    sagemaker = cloud.client("sagemaker")
    kinds = (
        ("list_endpoints", "Endpoints", "EndpointName", sagemaker.delete_endpoint),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", sagemaker.delete_endpoint_config),
        ("list_models", "Models", "ModelName", sagemaker.delete_model),
    )
    deleted: list[str] = []
    for operation, key, name_key, delete in kinds:
        pages = sagemaker.get_paginator(operation).paginate(NameContains=prefix)
        names = [item[name_key] for page in pages for item in page[key]]
        for name in names:
            if name == prefix or name.startswith(f"{prefix}-"):
                try:
                    delete(**{name_key: name})
                except ClientError as error:
                    raise ConsoleError(f"{key.removesuffix('s')} {name} stays: {error}", "Try again later.") from error
                deleted.append(f"{key.removesuffix('s')} {name}")
    return deleted
