"""From prepared photos to cached features, unless an execution with the same input failed after tuning."""

from typing import Any, Final

from contract.names import Channel, Prefix, Step
from infra.state_machine.attempts import job_states
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import (
    channel,
    inputs,
    left_by_job,
    output,
    program,
    training_job,
    weights,
    weights_channel,
)
from infra.state_machine.states import States, assign, expr, get_object, state_name

STEP: Final = Step.EXTRACT
START: Final = state_name(STEP, "name what is to be computed")
_LOOK_UP = state_name(STEP, "look for an unfinished execution")

# The resume record: what the training needs from the steps that are skipped.
RESUMABLE: Final = ("features_uri", "tuning_job_name", "hyperparameters", "tuned_run")
RESUME_KEY: Final = f"'{Prefix.RESUME}/' & $resume_key & '.json'"


def extract_states(facts: Facts, *, then: str, resumed: str) -> States:
    """Return the states to ``$features_uri``; ``resumed`` is where an execution with a resume record goes on."""
    parts = (
        "[$data.fingerprint, $backbone, $string($trials), $string($fine_tune), "
        f"$string($seed), '{facts.source_bundle}']"
    )
    body = "$parse($states.result.Body)"
    return {
        START: assign(
            {"resume_key": expr(f"$hash($join({parts}, '|'), 'SHA-256')"), "tuned_run": expr("$run")}, then=_LOOK_UP
        ),
        _LOOK_UP: get_object(
            STEP,
            facts.bucket,
            RESUME_KEY,
            then=resumed,
            assign={"resumed": True} | {name: expr(f"{body}.{name}") for name in RESUMABLE},
            missing=STEP,
        ),
        **job_states(
            STEP,
            "sagemaker:createTrainingJob.sync",
            _request(facts),
            then=then,
            assign={"features_uri": expr(left_by_job(facts, Prefix.FEATURES))},
            retry=facts.settings.retry,
        ),
    }


def _request(facts: Facts) -> dict[str, Any]:
    return training_job(
        facts,
        STEP,
        facts.settings.jobs.extract,
        hyperparameters=program(facts, "extract_features.py") | {"backbone": expr("$backbone")} | weights(facts),
        output=output(facts, facts.uri(Prefix.FEATURES), compressed=False),
        inputs=inputs(facts, [channel(Channel.PREPARED, "$prepared_uri")], isolated=weights_channel(facts)),
    )
