"""Stops a model that is too bad to serve, or that the rules of its training found errors in, and says why in words."""

from typing import Final

from contract.metrics import FINAL_ERRORS, FINAL_TEST_ACCURACY
from contract.names import Prefix, Step
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_CONNECTION
from infra.state_machine.states import (
    CAUSE,
    NO_SUCH_KEY,
    SAGEMAKER_ERROR,
    State,
    States,
    assign,
    choice,
    expr,
    failed,
    failure,
    get_object,
    state_name,
    task,
)

STEP: Final = Step.GATE
START: Final = state_name(STEP, "read which model is in production")
PRODUCTION_KEY: Final = f"'{Prefix.PRODUCTION}/model.json'"
_ASK = state_name(STEP, "ask the registry about it")
_WEIGH = state_name(STEP, "weigh the model")

_METRIC: Final = FINAL_TEST_ACCURACY.name
# Two models are told apart only by more than chance gives: about 1 in 40 equally good ones is this many standard errors
# of the difference of two proportions below the other. On 80 photos at 95 % that is 6.9 points, on 836 it is 2.1.
_STANDARD_ERRORS: Final = 2


def gate_states(facts: Facts, *, then: str) -> States:
    """Return the states that lead on only where the model may be deployed."""
    record = get_object(
        STEP,
        facts.bucket,
        PRODUCTION_KEY,
        then=_ASK,
        assign={"serving_package": expr("$parse($states.result.Body).model_package_arn")},
    )
    # No record, or one that names no version in the registry: there is nothing to compare with.
    nothing: State = {
        "ErrorEquals": [NO_SUCH_KEY, "States.QueryEvaluationError"],
        "Assign": {"production": {}, "unread": ""},
        "Next": _WEIGH,
    }
    unread = {
        "ErrorEquals": [SAGEMAKER_ERROR],
        "Assign": {"production": {}, "unread": expr(CAUSE)},
        "Next": _WEIGH,
    }
    return {
        START: record | {"Catch": [nothing, *record["Catch"]]},
        _ASK: task(
            STEP,
            "aws-sdk:sagemaker:describeModelPackage",
            {"ModelPackageName": expr("$serving_package")},
            then=_WEIGH,
            assign={"production": expr("$states.result.CustomerMetadataProperties"), "unread": ""},
            retry=[RETRY_CONNECTION],
            catch=[unread],
        ),
        _WEIGH: assign({"reasons": expr(_reasons(facts))}, then=STEP),
        STEP: choice(
            [("$count($reasons) > 0", failed(STEP), failure(STEP, "$join($reasons, '; ')"))],
            otherwise=then,
        ),
    }


def _reasons(facts: Facts) -> str:
    """Return a JSONata expression for the list of reasons against the model.

    A version that was deleted from the registry is nothing to compare with; one that cannot be read for another reason
    stops the new model, too.
    """
    gate = facts.settings.gate
    # Accuracies are counts divided by counts: a drop of exactly the limit must not fail for the last binary digit.
    tolerance = 1e-9
    return f"""(
  $percent := function($x) {{ $string($round($x * 100, 1)) & ' %' }};
  $new := $lookup($metrics, '{_METRIC}');
  $known := $lookup($production, '{_METRIC}');
  $old := $exists($known) and $production.fingerprint = $data.fingerprint ? $number($known);
  $chance := $exists($new) and $exists($old) ?
    {_STANDARD_ERRORS} * $sqrt(($new * (1 - $new) + $old * (1 - $old)) / $data.counts.test) : 0;
  $allowed := $max([{gate.maximum_drop!r}, $chance]);
  $errors := $lookup($metrics, '{FINAL_ERRORS.name}');
  [
    $unread = '' or $contains($unread, 'does not exist') ? () :
      'the model in production cannot be looked up: ' & $unread,
    $findings.errors,
    $errors > 0 and $count($findings.errors) = 0 ? 'rules found ' & $errors & ' errors in the training',
    $exists($new) ? () : 'the training reported no {_METRIC}',
    $new < {gate.minimum_accuracy!r} - {tolerance!r} ?
      'the test accuracy of ' & $percent($new) & ' is below the required {gate.minimum_accuracy:.1%}',
    $exists($old) and $new < $old - $allowed - {tolerance!r} ?
      'the test accuracy of ' & $percent($new) & ' is more than ' & $round($allowed * 100, 1) & ' points below the '
        & $percent($old) & ' of the model in production (' & $production.training_job_name & ', same data)'
  ]
)"""
