"""As many instances as the requests need: an endpoint's scaling, taken off before an update and put on after it.

Where the settings ask for no scaling, the state machine may not touch scaling either. An endpoint that got its scaling
from former settings keeps it until that is deregistered by hand, or the stage is destroyed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.names import VARIANT
from infra.policies import allow, arn
from infra.state_machine.facts import Facts

_CALL: Final = "aws-sdk:applicationautoscaling:"
_NAMESPACE: Final = "sagemaker"
_DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
# There is nothing to take off: the endpoint has been served without scaling so far.
NOT_SCALED: Final = "ApplicationAutoScaling.ObjectNotFoundException"


@dataclass(frozen=True)
class Call:
    """One request; ``detail`` names its state."""

    detail: str
    resource: str
    arguments: Mapping[str, Any]


def takes_off(facts: Facts) -> list[Call]:
    """Return the call that takes the scaling off, with its policy and schedules; none where there is no scaling."""
    if facts.settings.endpoint.scaling.maximum_instances is None:
        return []
    return [Call("take the scaling off", f"{_CALL}deregisterScalableTarget", _target(facts))]


def puts_on(facts: Facts) -> list[Call]:
    """Return the calls that put the scaling on, in their order; none where there is no scaling."""
    endpoint = facts.settings.endpoint
    scaling, night = endpoint.scaling, endpoint.scaling.night
    if scaling.maximum_instances is None:
        return []
    target = _target(facts)
    by_day = {"MinCapacity": endpoint.instances, "MaxCapacity": scaling.maximum_instances}
    tracking = {
        "PolicyName": f"{facts.endpoint_name}-invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": scaling.invocations_per_minute,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
    }
    calls = [
        Call("let it scale", f"{_CALL}registerScalableTarget", target | by_day),
        Call("scale by requests", f"{_CALL}putScalingPolicy", target | tracking),
    ]
    if night.begins is None:
        return calls
    by_night = {"MinCapacity": min(night.instances, endpoint.instances), "MaxCapacity": night.instances}
    return [
        *calls,
        Call("be small at night", f"{_CALL}putScheduledAction", _schedule(facts, "night", night.begins, by_night)),
        Call("grow in the morning", f"{_CALL}putScheduledAction", _schedule(facts, "day", night.ends, by_day)),
    ]


def _target(facts: Facts) -> dict[str, str]:
    return {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": f"endpoint/{facts.endpoint_name}/variant/{VARIANT}",
        "ScalableDimension": _DIMENSION,
    }


def _schedule(facts: Facts, name: str, time: str, capacity: Mapping[str, int]) -> dict[str, Any]:
    hour, minute = time.split(":")
    return _target(facts) | {
        "ScheduledActionName": f"{facts.endpoint_name}-{name}",
        "Schedule": f"cron({int(minute)} {int(hour)} * * ? *)",
        "Timezone": facts.settings.endpoint.scaling.night.time_zone,
        "ScalableTargetAction": dict(capacity),
    }


def statements(scope: Construct, facts: Facts) -> list[iam.PolicyStatement]:
    """Return what the calls need, and what Application Auto Scaling asks of its caller besides."""
    if not puts_on(facts):
        return []
    calls = ["RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy"]
    if facts.settings.endpoint.scaling.night.begins is not None:
        calls.append("PutScheduledAction")
    # One statement for all of them, since a role's policy has a limit. A target's ARN ends in an id that AWS chooses:
    # the endpoint cannot be named here.
    scale = allow(
        [f"application-autoscaling:{call}" for call in calls],
        [arn(scope, "application-autoscaling", "scalable-target", "*")],
        sid="Scaling",
        conditions={"StringEquals": {"application-autoscaling:service-namespace": _NAMESPACE}},
    )
    return [scale, *_asked_of_the_caller(scope, facts)]


def _asked_of_the_caller(scope: Construct, facts: Facts) -> list[iam.PolicyStatement]:
    """The permissions that AWS documents for callers, although a service-linked role does the work."""
    principal = "sagemaker.application-autoscaling.amazonaws.com"
    role = f"aws-service-role/{principal}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    endpoint = arn(scope, "sagemaker", "endpoint", facts.endpoint_name)
    configs = arn(scope, "sagemaker", "endpoint-config", f"{facts.settings.prefix}-*")
    alarms = arn(scope, "cloudwatch", "alarm", f"TargetTracking-{_target(facts)['ResourceId']}*", separator=":")
    return [
        allow(
            ["iam:CreateServiceLinkedRole"],
            [f"arn:{Aws.PARTITION}:iam::{Stack.of(scope).account}:role/{role}"],
            sid="ScalingRole",
            conditions={"StringEquals": {"iam:AWSServiceName": principal}},
        ),
        allow(
            ["sagemaker:DescribeEndpointConfig", "sagemaker:UpdateEndpointWeightsAndCapacities"],
            [endpoint, configs],
            sid="ScalingReach",
        ),
        allow(
            ["cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"],
            [alarms],
            sid="ScalingAlarms",
        ),
    ]
