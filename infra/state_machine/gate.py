"""Stops a model that is too bad to serve, and says why in words."""

from typing import Final

from contract.metrics import FINAL_TEST_ACCURACY
from contract.names import Prefix, Step
from infra.state_machine.facts import Facts
from infra.state_machine.states import FAILED, States, assign, choice, expr, failure, get_object, state_name

STEP: Final = Step.GATE
START: Final = state_name(STEP, "read the model in production")
PRODUCTION_KEY: Final = f"'{Prefix.PRODUCTION}/model.json'"
_NOTHING = state_name(STEP, "nothing is in production")
_WEIGH = state_name(STEP, "weigh the model")

_METRIC: Final = FINAL_TEST_ACCURACY.name
# Two models are told apart only by more than chance gives: about 1 in 40 equally good ones is this many standard errors
# of the difference of two proportions below the other. On 80 photos at 95 % that is 6.9 points, on 836 it is 2.1.
_STANDARD_ERRORS: Final = 2


def gate_states(facts: Facts, *, then: str) -> States:
    """Return the states that lead on only where the model may be deployed."""
    production = expr("$parse($states.result.Body)")
    return {
        START: get_object(
            STEP, facts.bucket, PRODUCTION_KEY, then=_WEIGH, assign={"production": production}, missing=_NOTHING
        ),
        _NOTHING: assign({"production": {}}, then=_WEIGH),
        _WEIGH: assign({"reasons": expr(_reasons(facts))}, then=STEP),
        STEP: choice(
            [("$count($reasons) > 0", FAILED, failure(STEP, "$join($reasons, '; ')"))],
            otherwise=then,
        ),
    }


def _reasons(facts: Facts) -> str:
    """Return a JSONata expression for the list of reasons against the model."""
    gate = facts.settings.gate
    # Accuracies are counts divided by counts: a drop of exactly the limit must not fail for the last binary digit.
    tolerance = 1e-9
    return f"""(
  $percent := function($x) {{ $string($round($x * 100, 1)) & ' %' }};
  $new := $lookup($metrics, '{_METRIC}');
  $old := $production.fingerprint = $data.fingerprint ? $lookup($production.metrics, '{_METRIC}');
  $chance := $exists($new) and $exists($old) ?
    {_STANDARD_ERRORS} * $sqrt(($new * (1 - $new) + $old * (1 - $old)) / $data.counts.test) : 0;
  $allowed := $max([{gate.maximum_drop!r}, $chance]);
  [
    $exists($new) ? () : 'the training reported no {_METRIC}',
    $new < {gate.minimum_accuracy!r} - {tolerance!r} ?
      'the test accuracy of ' & $percent($new) & ' is below the required {gate.minimum_accuracy:.1%}',
    $exists($old) and $new < $old - $allowed - {tolerance!r} ?
      'the test accuracy of ' & $percent($new) & ' is more than ' & $round($allowed * 100, 1) & ' points below the '
        & $percent($old) & ' of the model in production (' & $production.training_job_name & ', same data)'
  ]
)"""
