"""Which permissions a request to Application Auto Scaling needs, as in AWS's Service Authorization Reference."""

from collections.abc import Mapping
from typing import Any, Final

from local_cloud.autoscaling.names import SERVICE, target_arn, variant_of
from local_cloud.permissions import Check, json_object

# What Application Auto Scaling makes sure of before it takes a request: that the caller might do himself, to endpoint
# and alarms, what is going to be done for him.
_ON_ENDPOINT: Final = ("sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities")
_ON_ALARMS: Final = {
    "PutScalingPolicy": ("cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    "DeleteScalingPolicy": ("cloudwatch:DeleteAlarms",),
}
_CHANGES_ENDPOINT: Final = ("RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction")


def checks(target: str, _path: str, body: bytes, region: str, account: str) -> list[Check]:
    """Return what the caller must be allowed, the operation itself first."""
    operation = target.rpartition(".")[2]
    request = json_object(body)
    resource = request.get("ResourceId")
    if operation.startswith("Describe") or not isinstance(resource, str):
        return [Check(f"{SERVICE}:{operation}", "*", _context(request))]
    own = target_arn(resource, str(request.get("ScalableDimension", "")), region, account)
    found = [Check(f"{SERVICE}:{operation}", own, _context(request))]
    variant = variant_of(resource)
    if variant and operation in _CHANGES_ENDPOINT:
        endpoint = f"arn:aws:sagemaker:{region}:{account}:endpoint/{variant[0]}"
        found += [Check(action, endpoint) for action in _ON_ENDPOINT]
    alarm = f"arn:aws:cloudwatch:{region}:{account}:alarm:TargetTracking-{resource}-*"
    return found + [Check(action, alarm) for action in _ON_ALARMS.get(operation, ())]


def _context(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the service's condition keys."""
    keys = {"ServiceNamespace": f"{SERVICE}:service-namespace", "ScalableDimension": f"{SERVICE}:scalable-dimension"}
    return {key: request[member] for member, key in keys.items() if isinstance(request.get(member), str)}
