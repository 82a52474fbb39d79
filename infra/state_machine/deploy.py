"""From a model to an endpoint that is in service with this execution's configuration."""

from typing import Any, Final

from contract.names import VARIANT, Step
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_AWS_SDK, RETRY_CONNECTION, RETRY_REQUEST
from infra.state_machine.states import (
    FAILED,
    SAGEMAKER_ERROR,
    States,
    catch_all,
    choice,
    expr,
    failure,
    state_name,
    task,
)

STEP: Final = Step.DEPLOY
START: Final = state_name(STEP, "create the model")
_CONFIG = state_name(STEP, "create the endpoint configuration")
_LOOK = state_name(STEP, "look for the endpoint")
_ABSENT = state_name(STEP, "is there no endpoint")
_WAY = state_name(STEP, "create or update")
_BUSY = state_name(STEP, "wait for an earlier change")
_REMOVE = state_name(STEP, "remove the failed endpoint")
_GONE = state_name(STEP, "wait for its removal")
_CREATE = state_name(STEP, "create the endpoint")
_UPDATE = state_name(STEP, "update the endpoint")
_WAIT = state_name(STEP, "wait")
_DESCRIBE = state_name(STEP, "describe the endpoint")
_IS_DONE = str(STEP)

_NOW: Final = "$millis()"
_LATE: Final = f"{_NOW} > $deadline"


def deploy_states(facts: Facts, *, then: str) -> States:
    """Return the states to an endpoint in service, created or updated blue/green."""
    return _make_states(facts) | _change_states(facts) | _wait_states(facts, then=then)


def _make_states(facts: Facts) -> States:
    """Model and endpoint configuration, both named after the run."""
    endpoint = facts.settings.endpoint
    container = {"Image": facts.image(gpu=endpoint.gpu), "ModelDataUrl": expr("$model_uri")}
    variant = {
        "VariantName": VARIANT,
        "ModelName": expr(facts.run_name),
        "InstanceType": endpoint.instance_type,
        "InitialInstanceCount": endpoint.instances,
        "InitialVariantWeight": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": endpoint.startup_seconds,
    } | ({"InferenceAmiVersion": endpoint.gpu_ami} if endpoint.gpu else {})
    model = {
        "ModelName": expr(facts.run_name),
        "PrimaryContainer": container,
        "ExecutionRoleArn": facts.endpoint_role,
        "Tags": facts.tags(STEP),
    }
    config = {
        "EndpointConfigName": expr(facts.run_name),
        "ProductionVariants": [variant],
        "Tags": facts.tags(STEP),
    }
    deadline = {"deadline": expr(f"{_NOW} + {endpoint.deadline_seconds * 1000}")}
    return {
        START: task(STEP, "sagemaker:createModel", model, then=_CONFIG, retry=[RETRY_REQUEST]),
        _CONFIG: task(
            STEP,
            "sagemaker:createEndpointConfig",
            config,
            then=_LOOK,
            assign=deadline | {"config": expr(facts.run_name)},
            retry=[RETRY_REQUEST],
        ),
    }


def _change_states(facts: Facts) -> States:
    """Create the endpoint, or update it once nobody else is changing it."""
    name = {"EndpointName": facts.endpoint_name}
    change = name | {"EndpointConfigName": expr("$config")}
    update = change | {
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                "TerminationWaitInSeconds": 0,
                "MaximumExecutionTimeoutInSeconds": max(600, facts.settings.endpoint.deadline_seconds),
            }
        }
    }
    # DescribeEndpoint answers a ValidationException for an endpoint that does not exist.
    absent = catch_all(STEP) | {"ErrorEquals": [SAGEMAKER_ERROR], "Next": _ABSENT}
    late = failure(STEP, f"'the endpoint {facts.endpoint_name} was still ' & $status & ' when the deadline passed'")
    return {
        _LOOK: task(
            STEP,
            "aws-sdk:sagemaker:describeEndpoint",
            name,
            then=_WAY,
            assign={"status": expr("$states.result.EndpointStatus")},
            retry=[RETRY_CONNECTION],
            catch=[absent],
        ),
        _ABSENT: choice([("$contains($failure.cause, 'Could not find endpoint')", _CREATE)], otherwise=FAILED),
        _WAY: choice(
            [
                ("$status = 'InService'", _UPDATE),
                ("$status = 'Failed'", _REMOVE),
                (_LATE, FAILED, late),
            ],
            otherwise=_BUSY,
        ),
        _BUSY: _pause(facts, then=_LOOK),
        # An endpoint whose creation failed cannot be updated.
        _REMOVE: task(STEP, "aws-sdk:sagemaker:deleteEndpoint", name, then=_GONE, retry=[RETRY_AWS_SDK]),
        _GONE: _pause(facts, then=_LOOK),
        _CREATE: task(
            STEP,
            "sagemaker:createEndpoint",
            change | {"Tags": facts.tags(STEP)},
            then=_WAIT,
            retry=[RETRY_REQUEST],
        ),
        _UPDATE: task(STEP, "sagemaker:updateEndpoint", update, then=_WAIT, retry=[RETRY_REQUEST]),
    }


def _wait_states(facts: Facts, *, then: str) -> States:
    """Wait until the endpoint is in service with our configuration, failed, rolled back or late."""
    described = {
        "status": expr("$states.result.EndpointStatus"),
        "serving": expr("$states.result.EndpointConfigName"),
        "reason": expr("$exists($states.result.FailureReason) ? $states.result.FailureReason : 'no reason was given'"),
    }
    name = facts.endpoint_name
    back = f"'the endpoint {name} went back to ' & $serving & ': ' & $reason"
    broken = f"'the endpoint {name} ended ' & $status & ': ' & $reason"
    seconds = facts.settings.endpoint.deadline_seconds
    late = f"'the endpoint {name} was still ' & $status & ' after {seconds} seconds'"
    rules: list[tuple[str, str] | tuple[str, str, dict[str, Any]]] = [
        ("$status = 'InService' and $serving = $config", then),
        # After an automatic rollback the endpoint is in service again, with the old configuration.
        ("$status = 'InService'", FAILED, failure(STEP, back)),
        ("$status in ['Failed', 'OutOfService', 'UpdateRollbackFailed', 'Deleting']", FAILED, failure(STEP, broken)),
        (_LATE, FAILED, failure(STEP, late)),
    ]
    return {
        _WAIT: _pause(facts, then=_DESCRIBE),
        _DESCRIBE: task(
            STEP,
            "aws-sdk:sagemaker:describeEndpoint",
            {"EndpointName": name},
            then=_IS_DONE,
            assign=described,
            retry=[RETRY_AWS_SDK],
        ),
        _IS_DONE: choice(rules, otherwise=_WAIT),
    }


def _pause(facts: Facts, *, then: str) -> dict[str, Any]:
    return {"Type": "Wait", "Seconds": facts.settings.poll_seconds, "Output": {}, "Next": then}
