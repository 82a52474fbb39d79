"""What the states ask of an endpoint and read from its description, whether it serves users or a rehearsal."""

from typing import Any, Final

from contract.names import VARIANT
from infra.instance_types import has_local_disks
from infra.state_machine.facts import Facts
from infra.state_machine.states import State, expr

DESCRIBE: Final = "aws-sdk:sagemaker:describeEndpoint"
DELETE: Final = "aws-sdk:sagemaker:deleteEndpoint"
# What a state that describes an endpoint assigns.
DESCRIBED: Final = {
    "status": expr("$states.result.EndpointStatus"),
    "serving": expr("$states.result.EndpointConfigName"),
    "reason": expr("$exists($states.result.FailureReason) ? $states.result.FailureReason : 'no reason was given'"),
}
# Statuses that nothing follows by itself.
BROKEN: Final = "$status in ['Failed', 'OutOfService', 'UpdateRollbackFailed', 'Deleting']"
LATE: Final = "$millis() > $deadline"

# SageMaker's own limits for MaximumExecutionTimeoutInSeconds.
_SHORTEST_TIMEOUT: Final = 600
_LONGEST_TIMEOUT: Final = 28_800


def pause(facts: Facts, *, then: str) -> State:
    """Return the wait between two looks at an endpoint."""
    return {"Type": "Wait", "Seconds": facts.settings.poll_seconds, "Output": {}, "Next": then}


def deadline(seconds: int) -> dict[str, str]:
    """Return the variable that says until when a change may take."""
    return {"deadline": expr(f"$millis() + {seconds * 1000}")}


def configuration(facts: Facts, *, instances: int) -> dict[str, Any]:
    """Return the members of an endpoint configuration of this execution's model, but for its name and tags."""
    settings = facts.settings.endpoint
    variant = {
        "VariantName": VARIANT,
        "ModelName": expr(facts.run_name),
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": instances,
        "InitialVariantWeight": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": settings.startup_seconds,
    } | ({"InferenceAmiVersion": settings.gpu_ami} if settings.gpu else {})
    return {"ProductionVariants": [variant]} | volume_key(facts)


def volume_key(facts: Facts) -> dict[str, str]:
    """Return the member that names the volumes' key; SageMaker refuses one for the disks of an instance's own."""
    if not facts.customer_key or has_local_disks(facts.settings.endpoint.instance_type):
        return {}
    return {"KmsKeyId": facts.customer_key}


def rollout_timeout(facts: Facts) -> int:
    """Return the seconds after which SageMaker gives up on a new model, all its waits included."""
    rollout = facts.settings.endpoint.rollout
    shifts = 2 if rollout.traffic == "canary" else 1
    waits = shifts * rollout.bake_seconds + rollout.termination_wait_seconds
    return _timeout(facts.settings.endpoint.deadline_seconds + waits)


def rollout(facts: Facts) -> dict[str, Any]:
    """Return the DeploymentConfig by which a new model takes over: watched, and put back by SageMaker on an alarm."""
    settings = facts.settings.endpoint.rollout
    routing: dict[str, Any] = {"Type": settings.traffic.upper(), "WaitIntervalInSeconds": settings.bake_seconds}
    if settings.traffic == "canary":
        routing["CanarySize"] = {"Type": "CAPACITY_PERCENT", "Value": settings.canary_percent}
    policy = {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": settings.termination_wait_seconds,
        "MaximumExecutionTimeoutInSeconds": rollout_timeout(facts),
    }
    alarms = {"Alarms": [{"AlarmName": name} for name in facts.rollback_alarms]}
    return {"BlueGreenUpdatePolicy": policy} | ({"AutoRollbackConfiguration": alarms} if facts.rollback_alarms else {})


def putting_back(facts: Facts) -> dict[str, Any]:
    """Return the DeploymentConfig by which the former model comes back: at once, whatever the alarms say."""
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": _timeout(facts.settings.endpoint.deadline_seconds),
    }
    return {"BlueGreenUpdatePolicy": policy}


def update(facts: Facts, config: str, deployment: dict[str, Any]) -> dict[str, Any]:
    """Return an UpdateEndpoint request; ``config`` is a JSONata expression."""
    request = {"EndpointName": facts.endpoint_name, "EndpointConfigName": expr(config), "DeploymentConfig": deployment}
    # As many instances as the scaling had come to, not as few as a new endpoint begins with.
    scaled = facts.settings.endpoint.scaling.maximum_instances is not None
    return request | ({"RetainAllVariantProperties": True} if scaled else {})


def _timeout(seconds: int) -> int:
    return min(_LONGEST_TIMEOUT, max(_SHORTEST_TIMEOUT, seconds))
