"""The last words of an execution that went through: to whoever gets the stage's notices, what became of its model.

EventBridge, which tells of every other end, sees an execution's output as one long text and could not say so in words.
"""

from typing import Final

from aws_cdk import aws_iam as iam

from contract.metrics import FINAL_TEST_ACCURACY
from contract.names import Step
from infra.policies import allow
from infra.state_machine.facts import Facts
from infra.state_machine.states import CAUSE, State, expr, task

_REGION: Final = "$split($states.context.Execution.Id, ':')[3]"
_NAME: Final = "$split($states.context.Execution.Id, ':')[7]"
CONSOLE: Final = "console.aws.amazon.com/states/home"
_RETRY: Final[State] = {
    "ErrorEquals": [
        "Sns.SnsException",
        "Sns.ThrottledException",
        "Sns.InternalErrorException",
        "Sns.SdkClientException",
    ],
    "IntervalSeconds": 2,
    "MaxAttempts": 3,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}


def told(facts: Facts, step: Step, *, then: str) -> State:
    """Return a task that sends the notice and assigns ``$untold``: why it could not be sent, '' where it was.

    It never fails the execution: the model is in production, and whoever starts another for it would pay for nothing.
    """
    state = task(
        step,
        "aws-sdk:sns:publish",
        {"TopicArn": facts.notices, "Message": expr(_message(facts))},
        then=then,
        assign={"untold": ""},
        retry=[_RETRY],
    )
    return state | {"Catch": [{"ErrorEquals": ["States.ALL"], "Assign": {"untold": expr(CAUSE)}, "Next": then}]}


def _message(facts: Facts) -> str:
    accuracy = f"$string($round($lookup($metrics, '{FINAL_TEST_ACCURACY.name}') * 100, 1))"
    return f"""(
  $link := 'https://' & {_REGION} & '.{CONSOLE}?region=' & {_REGION} & '#/v2/executions/details/'
    & $states.context.Execution.Id;
  $warned := $count($findings.warnings) = 0 ? '' : ' Its rules warn: ' & $join($findings.warnings, ' ');
  'Pedigree {facts.settings.stage}: execution ' & {_NAME} & ' ended SUCCEEDED, with a test accuracy of ' & {accuracy}
    & ' %.' & $warned & ' ' & $link
)"""


def statements(facts: Facts) -> list[iam.PolicyStatement]:
    """Return what sending it needs; the key of an encrypted topic is the bucket's, which the role may use already."""
    return [allow(["sns:Publish"], [facts.notices], sid="Notice")]
