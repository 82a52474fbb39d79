"""Scalable targets, policies and scheduled actions, beside a SageMaker that knows one endpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local_cloud.autoscaling.names import target_arn
from local_cloud.autoscaling.permissions import checks
from local_cloud.autoscaling.records import Place
from local_cloud.autoscaling.service import ScalingService
from local_cloud.sagemaker.errors import ServiceError, validation

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
VARIANT = "endpoint/dogs/variant/AllTraffic"
SCOPE = {"ServiceNamespace": "sagemaker", "ResourceId": VARIANT, "ScalableDimension": DIMENSION}
TRACKING = {
    "TargetValue": 600.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


class SageMaker:
    """One endpoint with one variant."""

    def __init__(self) -> None:
        self.status = "InService"
        self.count = 1

    def handle(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if request["EndpointName"] != "dogs":
            raise validation('Could not find endpoint "dogs".')
        if operation == "UpdateEndpointWeightsAndCapacities":
            self.count = request["DesiredWeightsAndCapacities"][0]["DesiredInstanceCount"]
        variant = {"VariantName": "AllTraffic", "DesiredInstanceCount": self.count}
        return {"EndpointStatus": self.status, "ProductionVariants": [variant]}


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


@pytest.fixture
def scaling(tmp_path: Path, sagemaker: SageMaker) -> ScalingService:
    return started(tmp_path, sagemaker)


def started(folder: Path, sagemaker: SageMaker) -> ScalingService:
    service = ScalingService(folder, Place("us-east-1", "000000000000"), sagemaker.handle)
    service.start()
    return service


def register(scaling: ScalingService, **members: Any) -> None:
    scaling.handle("RegisterScalableTarget", {**SCOPE, "MinCapacity": 1, "MaxCapacity": 4, **members})


def put_both(scaling: ScalingService) -> None:
    policy = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": TRACKING}
    scaling.handle("PutScalingPolicy", {**SCOPE, "PolicyName": "load", **policy})
    night = {"Schedule": "cron(0 22 * * ? *)", "Timezone": "Europe/Berlin", "ScalableTargetAction": {"MaxCapacity": 1}}
    scaling.handle("PutScheduledAction", {**SCOPE, "ScheduledActionName": "night", **night})


def test_a_target_is_registered_and_described(scaling: ScalingService) -> None:
    register(scaling)
    found = scaling.handle("DescribeScalableTargets", {"ServiceNamespace": "sagemaker", "ResourceIds": [VARIANT]})
    target = found["ScalableTargets"][0]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    assert target["ScalableTargetARN"] == target_arn(VARIANT, DIMENSION, "us-east-1", "000000000000")
    assert target["RoleARN"].endswith("AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")


def test_registering_again_changes_what_is_given(scaling: ScalingService) -> None:
    register(scaling)
    scaling.handle("RegisterScalableTarget", {**SCOPE, "MaxCapacity": 9})
    target = scaling.handle("DescribeScalableTargets", {"ServiceNamespace": "sagemaker"})["ScalableTargets"][0]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 9)


@pytest.mark.parametrize(("before", "low", "high", "after"), [(1, 2, 4, 2), (6, 1, 4, 4), (3, 1, 4, 3)])
def test_the_number_of_instances_comes_within_the_bounds(
    scaling: ScalingService, sagemaker: SageMaker, before: int, low: int, high: int, after: int
) -> None:
    sagemaker.count = before
    register(scaling, MinCapacity=low, MaxCapacity=high)
    assert sagemaker.count == after


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"ResourceId": "endpoint/cats/variant/AllTraffic"}, "Could not find endpoint"),
        ({"ResourceId": "endpoint/dogs/variant/Other"}, "has no variant Other"),
        ({"ResourceId": "dogs"}, "endpoint/NAME/variant/NAME expected"),
        ({"ServiceNamespace": "ecs"}, "Only sagemaker"),
        ({"MinCapacity": 5}, "not above MaxCapacity 4"),
        ({"MinCapacity": 0}, "at least 1"),
        ({"ScalableDimension": "dogs"}, "enum value set"),
    ],
)
def test_what_cannot_be_scaled_is_refused(scaling: ScalingService, members: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceError, match=words) as refused:
        register(scaling, **members)
    assert refused.value.code == "ValidationException"


def test_an_endpoint_that_is_being_updated_is_refused(scaling: ScalingService, sagemaker: SageMaker) -> None:
    sagemaker.status = "Updating"
    with pytest.raises(ServiceError, match="must be InService"):
        register(scaling)


def test_a_first_registration_needs_both_bounds(scaling: ScalingService) -> None:
    with pytest.raises(ServiceError, match="MinCapacity and MaxCapacity are required"):
        scaling.handle("RegisterScalableTarget", {**SCOPE, "MinCapacity": 1})


def test_policies_and_actions_are_kept_and_go_with_their_target(scaling: ScalingService) -> None:
    register(scaling)
    put_both(scaling)
    policy = scaling.handle("DescribeScalingPolicies", {"ServiceNamespace": "sagemaker"})["ScalingPolicies"][0]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == TRACKING
    assert policy["PolicyARN"].endswith(f"resource/sagemaker/{VARIANT}:policyName/load")
    action = scaling.handle("DescribeScheduledActions", {"ServiceNamespace": "sagemaker", "ResourceId": VARIANT})
    assert action["ScheduledActions"][0]["Timezone"] == "Europe/Berlin"
    scaling.handle("DeregisterScalableTarget", SCOPE)
    for operation, items in (
        ("DescribeScalableTargets", "ScalableTargets"),
        ("DescribeScalingPolicies", "ScalingPolicies"),
        ("DescribeScheduledActions", "ScheduledActions"),
    ):
        assert scaling.handle(operation, {"ServiceNamespace": "sagemaker"})[items] == []


def test_policies_and_actions_can_be_deleted_alone(scaling: ScalingService) -> None:
    register(scaling)
    put_both(scaling)
    scaling.handle("DeleteScalingPolicy", {**SCOPE, "PolicyName": "load"})
    scaling.handle("DeleteScheduledAction", {**SCOPE, "ScheduledActionName": "night"})
    assert scaling.handle("DescribeScalingPolicies", {"ServiceNamespace": "sagemaker"})["ScalingPolicies"] == []
    assert scaling.handle("DescribeScheduledActions", {"ServiceNamespace": "sagemaker"})["ScheduledActions"] == []


@pytest.mark.parametrize(
    ("operation", "members", "words"),
    [
        ("DeregisterScalableTarget", {}, "No scalable target found for service namespace: sagemaker"),
        ("PutScheduledAction", {"ScheduledActionName": "a"}, "No scalable target registered"),
        ("PutScalingPolicy", {"PolicyName": "a"}, "No scalable target registered"),
        ("DeleteScalingPolicy", {"PolicyName": "a"}, "No scaling policy found"),
        ("DeleteScheduledAction", {"ScheduledActionName": "a"}, "No scheduled action found"),
    ],
)
def test_what_is_not_there_is_worded_as_on_aws(
    scaling: ScalingService, operation: str, members: dict[str, str], words: str
) -> None:
    with pytest.raises(ServiceError, match=words) as refused:
        scaling.handle(operation, {**SCOPE, **members})
    assert refused.value.code == "ObjectNotFoundException"


@pytest.mark.parametrize(
    ("operation", "members", "words"),
    [
        ("PutScheduledAction", {"ScheduledActionName": "a", "Schedule": "nightly"}, "Invalid schedule expression"),
        ("PutScheduledAction", {"ScheduledActionName": "a", "Schedule": "rate(1 day)"}, "must have MinCapacity"),
        ("PutScalingPolicy", {"PolicyName": "a", "PolicyType": "TargetTrackingScaling"}, "Configuration is required"),
        ("PutScalingPolicy", {}, "PolicyName"),
    ],
)
def test_half_a_policy_or_action_is_refused(
    scaling: ScalingService, operation: str, members: dict[str, str], words: str
) -> None:
    register(scaling)
    with pytest.raises(ServiceError, match=words):
        scaling.handle(operation, {**SCOPE, **members})


def test_what_is_registered_outlives_a_restart(tmp_path: Path, scaling: ScalingService, sagemaker: SageMaker) -> None:
    register(scaling)
    put_both(scaling)
    again = started(tmp_path, sagemaker)
    assert len(again.handle("DescribeScalingPolicies", {"ServiceNamespace": "sagemaker"})["ScalingPolicies"]) == 1


def test_whoever_scales_an_endpoint_must_be_allowed_to_do_it_himself() -> None:
    body = b'{"ServiceNamespace": "sagemaker", "ResourceId": "%s", "ScalableDimension": "%s"}' % (
        VARIANT.encode(),
        DIMENSION.encode(),
    )
    found = checks("AnyScaleFrontendService.RegisterScalableTarget", "/", body, "us-east-1", "000000000000")
    assert found[0].action == "application-autoscaling:RegisterScalableTarget"
    assert found[0].resource == target_arn(VARIANT, DIMENSION, "us-east-1", "000000000000")
    assert found[0].context["application-autoscaling:service-namespace"] == "sagemaker"
    endpoint = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/dogs"
    assert [(check.action, check.resource) for check in found[1:]] == [
        ("sagemaker:DescribeEndpoint", endpoint),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint),
    ]
    policy = checks("AnyScaleFrontendService.PutScalingPolicy", "/", body, "us-east-1", "000000000000")
    assert "cloudwatch:PutMetricAlarm" in [check.action for check in policy]


def test_a_description_is_of_everything() -> None:
    body = b'{"ServiceNamespace": "sagemaker"}'
    found = checks("AnyScaleFrontendService.DescribeScalableTargets", "/", body, "us-east-1", "000000000000")
    assert [(check.action, check.resource) for check in found] == [
        ("application-autoscaling:DescribeScalableTargets", "*")
    ]
