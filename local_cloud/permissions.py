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
    ("TransformJobName", "transform-job"),  # before the model, on which AWS asks for no permission
    ("EndpointName", "endpoint"),
    ("EndpointConfigName", "endpoint-config"),
    ("ModelName", "model"),
    ("ModelPackageArn", "model-package"),
    ("ModelPackageName", "model-package"),
    ("ModelPackageGroupName", "model-package-group"),
)
# List operations on what belongs to a resource, which is the one to be checked.
_LISTED_WITHIN: Final = ("ListTrainingJobsForHyperParameterTuningJob", "ListModelPackages")
_BOTH: Final = ("CreateEndpoint", "UpdateEndpoint", "CreateModelPackage")
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
        return name if name.startswith("arn:") else f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}"

    parts = [unquote(part) for part in path.split("/") if part]
    if not target and parts[:1] == ["endpoints"] and len(parts) > 1:
        return [Check("sagemaker:InvokeEndpoint", arn("endpoint", parts[1]))]
    operation = target.rpartition(".")[2]
    action = f"sagemaker:{operation}"
    request = json_object(body)
    if operation.startswith("List") and operation not in _LISTED_WITHIN:
        return [Check(action, str(request.get("ResourceArn", "*")))]
    if isinstance(request.get("ResourceArn"), str):
        return [Check(action, request["ResourceArn"])]
    resources = [arn(kind, request[member]) for member, kind in _NAMED if isinstance(request.get(member), str)]
    if operation == "CreateModelPackage" and resources:
        # Its number is not known yet: a statement must cover every version of the group.
        resources.append(arn("model-package", f"{resources[0].rpartition('/')[2]}/*"))
    found = [Check(action, resource) for resource in (resources if operation in _BOTH else resources[:1])]
    if operation.startswith("Create") and request.get("Tags") and resources:
        found.append(Check("sagemaker:AddTags", resources[0]))
    if operation in _PASS_ROLE:
        found += [
            Check("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}) for role in _roles(request)
        ]
    if operation in ("CreateEndpoint", "UpdateEndpoint"):
        found += [
            Check("cloudwatch:DescribeAlarms", f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}")
            for name in _rollback_alarms(request)
        ]
    return found or [Check(action, "*")]


def json_object(body: bytes) -> dict[str, Any]:
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


def _rollback_alarms(request: Mapping[str, Any]) -> list[str]:
    """Return the names of the alarms that a rollout is to look at."""
    found: Any = request
    for member in ("DeploymentConfig", "AutoRollbackConfiguration", "Alarms"):
        found = found.get(member) if isinstance(found, Mapping) else None
    alarms = found if isinstance(found, list) else []
    return [alarm["AlarmName"] for alarm in alarms if isinstance(alarm, Mapping) and "AlarmName" in alarm]
