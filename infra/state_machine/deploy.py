"""From a model to an endpoint that is in service with this execution's configuration."""

from typing import Any, Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from contract.names import Prefix, Step
from contract.serving import Variable
from infra.policies import allow, arn
from infra.state_machine import endpoint, scaling
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import PASSED_TO_SAGEMAKER, RETRY_AWS_SDK, RETRY_CONNECTION, RETRY_REQUEST
from infra.state_machine.rehearsal import START as REHEARSE
from infra.state_machine.rehearsal import rehearsal_states
from infra.state_machine.states import (
    SAGEMAKER_ERROR,
    States,
    catch_all,
    choice,
    expr,
    failed,
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

# How long SageMaker may take to give the traffic back once it has given up, before nobody waits for it any longer.
_ROLLBACK_SECONDS: Final = 600


def deploy_states(facts: Facts, *, then: str) -> States:
    """Return the states to an endpoint in service, created or updated blue/green, with its scaling on."""
    scale = _scale_states(facts, then=then)
    states = _make_states(facts) | _change_states(facts) | _wait_states(facts, then=next(iter(scale), then)) | scale
    return states | (rehearsal_states(facts, then=_LOOK) if facts.settings.endpoint.rollout.rehearsal else {})


def _make_states(facts: Facts) -> States:
    """Model and endpoint configuration, both named after the run."""
    settings = facts.settings
    container = {
        "Image": facts.image(gpu=settings.endpoint.gpu),
        "ModelDataUrl": expr("$model_uri"),
        "Environment": _environment(facts),
    }
    model: dict[str, Any] = {
        "ModelName": expr(facts.run_name),
        "PrimaryContainer": container,
        "ExecutionRoleArn": facts.endpoint_role,
        "EnableNetworkIsolation": settings.network.isolation,
        "Tags": facts.tags(STEP),
    }
    if settings.network.subnets:
        model["VpcConfig"] = {
            "Subnets": list(settings.network.subnets),
            "SecurityGroupIds": list(settings.network.security_groups),
        }
    config = {"EndpointConfigName": expr(facts.run_name), "Tags": facts.tags(STEP)}
    config |= endpoint.configuration(facts, instances=settings.endpoint.instances) | _capture(facts)
    begin = endpoint.deadline(settings.endpoint.deadline_seconds)
    return {
        START: task(STEP, "sagemaker:createModel", model, then=_CONFIG, retry=[RETRY_REQUEST]),
        _CONFIG: task(
            STEP,
            "sagemaker:createEndpointConfig",
            config,
            then=_LOOK,
            assign=begin | {"config": expr(facts.run_name), "rehearsed": not settings.endpoint.rollout.rehearsal},
            retry=[RETRY_REQUEST],
        ),
    }


def _environment(facts: Facts) -> dict[str, str]:
    """Return what the server is told: how to serve and, so that it can say so, which version."""
    serving = facts.settings.endpoint.serving
    return {
        Variable.ENGINE.value: serving.engine,
        Variable.BATCH_PHOTOS.value: str(serving.batch_photos),
        Variable.BATCH_WAIT_MS.value: str(serving.batch_wait_ms),
        Variable.QUEUE_PHOTOS.value: str(serving.queue_photos),
        Variable.TIMEOUT_SECONDS.value: str(serving.timeout_seconds),
        Variable.MODEL_PACKAGE.value: expr("$package"),
    }


def _capture(facts: Facts) -> dict[str, Any]:
    """Return the member by which requests and answers are kept in the bucket."""
    percent = facts.settings.endpoint.capture_percent
    if not percent:
        return {}
    key = {"KmsKeyId": facts.customer_key} if facts.customer_key else {}
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": percent,
        "DestinationS3Uri": facts.uri(Prefix.CAPTURES),
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        # Answers are kept as they are read; photos, being of no listed type, in base64.
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    return {"DataCaptureConfig": capture | key}


def _change_states(facts: Facts) -> States:
    """Create the endpoint, or update it once the new model has rehearsed and nobody else is changing the endpoint."""
    name = {"EndpointName": facts.endpoint_name}
    seconds = facts.settings.endpoint.deadline_seconds
    off = scaling.takes_off(facts)
    update = state_name(STEP, off[0].detail) if off else _UPDATE
    # DescribeEndpoint answers a ValidationException for an endpoint that does not exist.
    absent = catch_all(STEP) | {"ErrorEquals": [SAGEMAKER_ERROR], "Next": _ABSENT}
    late = failure(STEP, f"'the endpoint {facts.endpoint_name} was still ' & $status & ' when the deadline passed'")
    rehearse = [("$status = 'InService' and $not($rehearsed)", REHEARSE)]
    states = {
        _LOOK: task(
            STEP,
            endpoint.DESCRIBE,
            name,
            then=_WAY,
            assign=endpoint.DESCRIBED,
            retry=[RETRY_CONNECTION],
            catch=[absent],
        ),
        _ABSENT: choice([("$contains($failure.cause, 'Could not find endpoint')", _CREATE)], otherwise=failed(STEP)),
        _WAY: choice(
            [
                *(rehearse if facts.settings.endpoint.rollout.rehearsal else []),
                ("$status = 'InService'", update, {"replaced": expr("$serving")}),
                ("$status = 'Failed'", _REMOVE),
                (endpoint.LATE, failed(STEP), late),
            ],
            otherwise=_BUSY,
        ),
        _BUSY: endpoint.pause(facts, then=_LOOK),
        # An endpoint whose creation failed cannot be updated.
        _REMOVE: task(STEP, endpoint.DELETE, name, then=_GONE, retry=[RETRY_AWS_SDK]),
        _GONE: endpoint.pause(facts, then=_LOOK),
        _CREATE: task(
            STEP,
            "sagemaker:createEndpoint",
            name | {"EndpointConfigName": expr("$config"), "Tags": facts.tags(STEP)},
            then=_WAIT,
            assign={"replaced": ""} | endpoint.deadline(seconds),
            retry=[RETRY_REQUEST],
        ),
        _UPDATE: task(
            STEP,
            "sagemaker:updateEndpoint",
            endpoint.update(facts, "$config", endpoint.rollout(facts)),
            then=_WAIT,
            assign=endpoint.deadline(endpoint.rollout_timeout(facts) + _ROLLBACK_SECONDS),
            retry=[RETRY_REQUEST],
        ),
    }
    for call in off:
        nothing = {"ErrorEquals": [scaling.NOT_SCALED], "Assign": {"unscaled": True}, "Next": _UPDATE}
        states[update] = task(
            STEP, call.resource, call.arguments, then=_UPDATE, assign={"unscaled": True}, catch=[nothing]
        )
    return states


def _wait_states(facts: Facts, *, then: str) -> States:
    """Wait until the endpoint is in service with our configuration, failed, rolled back or late."""
    name = facts.endpoint_name
    back = f"'the endpoint {name} went back to ' & $serving & ': ' & $reason"
    broken = f"'the endpoint {name} ended ' & $status & ': ' & $reason"
    late = f"'the endpoint {name} was still ' & $status & ' when the deadline passed'"
    rules: list[tuple[str, str] | tuple[str, str, dict[str, Any]]] = [
        # From now on a failure has something to put back.
        ("$status = 'InService' and $serving = $config", then, {"former": expr("$replaced")}),
        # After an automatic rollback the endpoint is in service again, with the old configuration.
        ("$status = 'InService'", failed(STEP), failure(STEP, back)),
        (endpoint.BROKEN, failed(STEP), failure(STEP, broken)),
        (endpoint.LATE, failed(STEP), failure(STEP, late)),
    ]
    return {
        _WAIT: endpoint.pause(facts, then=_DESCRIBE),
        _DESCRIBE: task(
            STEP,
            endpoint.DESCRIBE,
            {"EndpointName": name},
            then=_IS_DONE,
            assign=endpoint.DESCRIBED,
            retry=[RETRY_AWS_SDK],
        ),
        _IS_DONE: choice(rules, otherwise=_WAIT),
    }


def _scale_states(facts: Facts, *, then: str) -> States:
    """Return the states that put the scaling on, in their order."""
    calls = scaling.puts_on(facts)
    names = [state_name(STEP, call.detail) for call in calls]
    states = {
        name: task(STEP, call.resource, call.arguments, then=after)
        for call, name, after in zip(calls, names, [*names[1:], then][: len(calls)], strict=True)
    }
    for name in names[-1:]:
        states[name]["Assign"] = {"unscaled": False}
    return states


def statements(scope: Construct, facts: Facts) -> list[iam.PolicyStatement]:
    """Return what making and changing this stage's endpoints needs: the users' one and those of rehearsals."""
    prefix = facts.settings.prefix
    model = arn(scope, "sagemaker", "model", f"{prefix}-*")
    config = arn(scope, "sagemaker", "endpoint-config", f"{prefix}-*")
    users = arn(scope, "sagemaker", "endpoint", facts.endpoint_name)
    all_endpoints = [users] + ([f"{users}-*"] if facts.settings.endpoint.rollout.rehearsal else [])
    made = [
        allow(["sagemaker:CreateModel"], [model], sid="Model"),
        allow(["iam:PassRole"], [facts.endpoint_role], sid="EndpointRolePass", conditions=PASSED_TO_SAGEMAKER),
        allow(["sagemaker:CreateEndpointConfig"], [config], sid="EndpointConfig"),
        # Both resources are checked: which endpoint, and with which configuration.
        allow(["sagemaker:CreateEndpoint"], [*all_endpoints, config], sid="EndpointCreate"),
        allow(["sagemaker:UpdateEndpoint"], [users, config], sid="EndpointUpdate"),
        allow(["sagemaker:DescribeEndpoint"], all_endpoints, sid="EndpointWatch"),
        # The users' one only after its creation failed.
        allow(["sagemaker:DeleteEndpoint"], all_endpoints, sid="EndpointDelete"),
        allow(["sagemaker:AddTags"], [model, config, *all_endpoints], sid="HostingTags"),
    ]
    alarms = [arn(scope, "cloudwatch", "alarm", name, separator=":") for name in facts.rollback_alarms]
    if alarms:
        made.append(allow(["cloudwatch:DescribeAlarms"], alarms, sid="RollbackAlarms"))
    key = endpoint.volume_key(facts)
    if key:
        # SageMaker hands the key to the endpoint's volumes by a grant, which whoever creates the endpoint must allow.
        by_aws = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        made.append(allow(["kms:CreateGrant"], list(key.values()), sid="EndpointGrant", conditions=by_aws))
    return made
