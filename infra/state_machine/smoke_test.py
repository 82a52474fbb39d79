"""A prediction through the API that users call, then the record of what is in production and the output."""

from typing import Any, Final

from contract.names import Step
from infra.state_machine.facts import Facts
from infra.state_machine.gate import PRODUCTION_KEY
from infra.state_machine.states import State, States, expr, put_object, state_name, task

STEP: Final = Step.SMOKE_TEST
START: Final = str(STEP)
_RECORD = state_name(STEP, "write down what is in production")

_RETRY_LAMBDA: Final[State] = {
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
    record = {
        "training_job_name": expr("$training_job_name"),
        "endpoint_config_name": expr("$config"),
        "model_uri": expr("$model_uri"),
        "output_uri": expr("$output_uri"),
        "fingerprint": expr("$data.fingerprint"),
        "metrics": expr("$metrics"),
        "execution_arn": expr("$states.context.Execution.Id"),
        "deployed_at": expr("$now()"),
    }
    last = put_object(STEP, facts.bucket, PRODUCTION_KEY, record, then="")
    del last["Next"]
    return {
        STEP: task(
            STEP,
            "lambda:invoke",
            call,
            then=_RECORD,
            assign={"sample": expr("$states.result.Payload")},
            retry=[_RETRY_LAMBDA],
        ),
        _RECORD: last | {"Output": _output(facts), "End": True},
    }


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
        "model_uri",
        "output_uri",
        "sample",
        "resumed",
    )
    return {
        "fingerprint": expr("$data.fingerprint"),
        **{name: expr(f"${name}") for name in variables},
        "endpoint_name": facts.endpoint_name,
        "api_url": facts.api_url,
    }
