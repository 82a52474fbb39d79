"""A test photo through the API that users call; then the model is approved and recorded as the one in production."""

from typing import Any, Final

from aws_cdk import aws_iam as iam

from contract.names import Step
from infra.policies import allow
from infra.state_machine import lock, tell
from infra.state_machine.facts import Facts
from infra.state_machine.gate import PRODUCTION_KEY
from infra.state_machine.jobs import RETRY_AWS_SDK
from infra.state_machine.states import (
    FAILED,
    State,
    States,
    expr,
    put_object,
    state_name,
    task,
)

STEP: Final = Step.SMOKE_TEST
START: Final = str(STEP)
_APPROVE = state_name(STEP, "approve the model")
_RECORD = state_name(STEP, "write down what is in production")
_RELEASE = state_name(STEP, "release the lock")
_TELL = state_name(STEP, "tell what became of the model")
_END = state_name(STEP, "answer what came of it")

RETRY_LAMBDA: Final[State] = {
    "ErrorEquals": [
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 3,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}


def smoke_test_states(facts: Facts) -> States:
    """Return the last states of an execution."""
    call = {"FunctionName": facts.smoke_test, "Payload": {"prepared_uri": expr("$prepared_uri")}}
    approved = {
        "ModelPackageArn": expr("$package"),
        "ModelApprovalStatus": "Approved",
        "ApprovalDescription": expr(f"'in service at {facts.endpoint_name} since ' & $now()"),
    }
    # What the model is and how good stands in the registry. The front door shows examples out of the prepared set.
    record = {
        "model_package_arn": expr("$package"),
        "endpoint_config_name": expr("$config"),
        "training_job_name": expr("$training_job_name"),
        "prepared_uri": expr("$prepared_uri"),
        "execution_arn": expr("$states.context.Execution.Id"),
        "deployed_at": expr("$now()"),
    }
    return {
        STEP: task(
            STEP,
            "lambda:invoke",
            call,
            then=_APPROVE,
            assign={"sample": expr("$states.result.Payload")},
            retry=[RETRY_LAMBDA],
        ),
        _APPROVE: task(STEP, "aws-sdk:sagemaker:updateModelPackage", approved, then=_RECORD, retry=[RETRY_AWS_SDK]),
        _RECORD: put_object(STEP, facts.bucket, PRODUCTION_KEY, record, then=_RELEASE),
        _RELEASE: _release(facts),
        _TELL: tell.told(facts, STEP, then=_END),
        _END: {"Type": "Pass", "Output": _output(facts), "End": True},
    }


def _release(facts: Facts) -> State:
    """Return the task; the model is in production whatever becomes of the lock, which has no holder any more."""
    state = task(STEP, *lock.release(facts), then=_TELL)
    return state | {"Catch": [state["Catch"][0] | {"Next": FAILED}]}


def _output(facts: Facts) -> dict[str, Any]:
    """Return what a successful execution answers."""
    variables = (
        "prepared_uri",
        "data",
        "features_uri",
        "tuning_job_name",
        "training_job_name",
        "hyperparameters",
        "metrics",
        "findings",
        "model_uri",
        "output_uri",
        "sample",
        "resumed",
    )
    return {
        "fingerprint": expr("$data.fingerprint"),
        **{name: expr(f"${name}") for name in variables},
        "model_package_arn": expr("$package"),
        "endpoint_name": facts.endpoint_name,
        "api_url": facts.api_url,
        "notice_not_sent": expr("$untold"),
    }


def statements(facts: Facts) -> list[iam.PolicyStatement]:
    """Return what the test needs."""
    return [allow(["lambda:InvokeFunction"], [facts.smoke_test], sid="SmokeTest")]
