"""Scaling: off before an update, on again after it, small at night."""

from infra.settings import Endpoint, Night, Scaling, Settings
from tests.infra.fake_aws import FakeAws
from tests.infra.running import run


def settings_with(night: Night) -> Settings:
    scaling = Scaling(maximum_instances=6, invocations_per_minute=300, night=night)
    return Settings(image="x", endpoint=Endpoint(deadline_seconds=60, instances=2, scaling=scaling))


SCALED = settings_with(Night())
BERLIN = settings_with(Night(begins="22:30", ends="06:05", time_zone="Europe/Berlin", instances=1))
_SCALING_CALLS = ("registerScalableTarget", "deregisterScalableTarget", "putScalingPolicy", "putScheduledAction")


def test_without_a_maximum_nothing_is_scaled(aws: FakeAws) -> None:
    aws.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": "former"}]
    run(aws)
    assert not [call for call in aws.calls if call in _SCALING_CALLS]
    assert "RetainAllVariantProperties" not in aws.requests["updateEndpoint"][0]


def test_a_new_endpoint_is_scaled_between_its_instances_and_the_maximum(aws: FakeAws) -> None:
    assert run(aws, settings=SCALED).status == "SUCCEEDED"
    (target,) = aws.requests["registerScalableTarget"]
    assert target["ResourceId"] == "endpoint/pedigree-dev/variant/AllTraffic"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    (policy,) = aws.requests["putScalingPolicy"]
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 300
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
    assert "putScheduledAction" not in aws.calls


def test_an_update_takes_the_scaling_off_first_and_keeps_the_instances_there_are(aws: FakeAws) -> None:
    run(aws, settings=SCALED)
    aws.calls.clear()
    assert run(aws, settings=SCALED).status == "SUCCEEDED"
    order = [call for call in aws.calls if call in (*_SCALING_CALLS, "updateEndpoint")]
    assert order == ["deregisterScalableTarget", "updateEndpoint", "registerScalableTarget", "putScalingPolicy"]
    assert aws.requests["updateEndpoint"][0]["RetainAllVariantProperties"] is True
    assert aws.scaled


def test_an_endpoint_that_was_never_scaled_is_updated_all_the_same(aws: FakeAws) -> None:
    aws.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": "former"}]
    assert run(aws, settings=SCALED).status == "SUCCEEDED"


def test_a_rollback_puts_the_scaling_back_on(aws: FakeAws) -> None:
    run(aws, settings=SCALED)

    def rolled_back(request: object) -> dict[str, str]:
        aws.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": "former"}]
        return {"EndpointArn": "arn"}

    setattr(aws, "_change_endpoint", rolled_back)  # noqa: B010 mypy refuses to assign a method
    execution = run(aws, settings=SCALED)
    assert execution.cause == "Deploy: the endpoint pedigree-dev went back to former: no reason was given"
    assert aws.scaled


def test_nights_are_small_in_the_clock_of_the_settings(aws: FakeAws) -> None:
    assert run(aws, settings=BERLIN).status == "SUCCEEDED"
    night, day = aws.requests["putScheduledAction"]
    assert (night["Schedule"], night["Timezone"]) == ("cron(30 22 * * ? *)", "Europe/Berlin")
    assert night["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 1}
    assert (day["Schedule"], day["Timezone"]) == ("cron(5 6 * * ? *)", "Europe/Berlin")
    assert day["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 6}
    assert night["ScheduledActionName"] != day["ScheduledActionName"]
