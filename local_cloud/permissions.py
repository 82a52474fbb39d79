"""Which permissions a SageMaker request needs: action and resource, as in AWS's Service Authorization Reference."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

SERVICE: Final = "sagemaker"
# Members of a request that name a resource -> the resource's type in its ARN. The first one found is checked; an
# endpoint is created or updated from a configuration, on which the caller needs the permission too.
_NAMED: Final = (
    ("HyperParameterTuningJobName", "hyper-parameter-tuning-job"),
    ("TrainingJobName", "training-job"),
    ("EndpointName", "endpoint"),
    ("EndpointConfigName", "endpoint-config"),
    ("ModelName", "model"),
)
_BOTH: Final = ("CreateEndpoint", "UpdateEndpoint")
_PASS_ROLE: Final = ("CreateTrainingJob", "CreateHyperParameterTuningJob", "CreateModel")


@dataclass(frozen=True)
class Check:
    """One permission to evaluate."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def checks(target: str, path: str, body: bytes, region: str, account: str) -> list[Check]:
    """Return what the caller must be allowed, the operation itself first.

    Args:
        target: The X-Amz-Target header, empty for the runtime.
        path: The request's path; names the endpoint for the runtime.
        body: The request's body.
        region: Region of the resources.
        account: Account of the resources.
    """

    def arn(kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}"

    parts = [unquote(part) for part in path.split("/") if part]
    if not target and parts[:1] == ["endpoints"] and len(parts) > 1:
        return [Check("sagemaker:InvokeEndpoint", arn("endpoint", parts[1]))]
    operation = target.rpartition(".")[2]
    action = f"sagemaker:{operation}"
    request = _json_object(body)
    if operation.startswith("List") and operation != "ListTrainingJobsForHyperParameterTuningJob":
        return [Check(action, str(request.get("ResourceArn", "*")))]
    if isinstance(request.get("ResourceArn"), str):
        return [Check(action, request["ResourceArn"])]
    resources = [arn(kind, request[member]) for member, kind in _NAMED if isinstance(request.get(member), str)]
    found = [Check(action, resource) for resource in (resources if operation in _BOTH else resources[:1])]
    if operation in _PASS_ROLE:
        found += [
            Check("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}) for role in _roles(request)
        ]
    return found or [Check(action, "*")]


def _json_object(body: bytes) -> dict[str, Any]:
    """Return the request, or nothing where the service is going to refuse it as malformed."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def _roles(request: Mapping[str, Any]) -> list[str]:
    """Return the roles that a request hands over, the model's or job's own and those of a tuning job's definitions."""
    definitions = [request, request.get("TrainingJobDefinition"), *(request.get("TrainingJobDefinitions") or [])]
    roles = [
        definition.get(member)
        for definition in definitions
        if isinstance(definition, Mapping)
        for member in ("RoleArn", "ExecutionRoleArn")
    ]
    return [role for role in roles if isinstance(role, str)]
