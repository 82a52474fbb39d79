"""From prepared photos to cached features, unless an execution with the same input failed after tuning."""

from typing import Any, Final

from contract.names import Prefix, Step
from infra.state_machine.attempts import job_states
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import (
    inputs,
    left_by_job,
    output,
    prepared_channel,
    program,
    training_job,
    weights,
    weights_channel,
)
from infra.state_machine.states import (
    NO_EXECUTION,
    NO_SUCH_KEY,
    RUNNING,
    S3_ERROR,
    States,
    assign,
    choice,
    expr,
    get_object,
    json_object,
    state_name,
    task,
)

STEP: Final = Step.EXTRACT
START: Final = state_name(STEP, "name what is to be computed")
_LOOK_UP = state_name(STEP, "look for an unfinished execution")
_HAS_ENDED = state_name(STEP, "has it ended")
_MAY_GO_ON = state_name(STEP, "may this one go on with it")
_CLAIM = state_name(STEP, "go on with it")

# The resume record: what the training needs from the steps that are skipped.
RESUMABLE: Final = ("features_uri", "tuning_job_name", "hyperparameters", "tuned_run")
RESUME_KEY: Final = f"'{Prefix.RESUME}/' & $resume_key & '.json'"


def extract_states(facts: Facts, *, then: str, resumed: str) -> States:
    """Return the states to ``$features_uri``; ``resumed`` is where an execution with a resume record goes on."""
    tuning = facts.settings.tuning
    parts = (
        "[$data.fingerprint, $backbone, $string($trials), $string($fine_tune), "
        f"$string($seed), '{tuning.mode} {tuning.strategy} {tuning.objective} {tuning.views}', "
        f"'{facts.source_bundle}']"
    )
    return {
        START: assign(
            {"resume_key": expr(f"$hash($join({parts}, '|'), 'SHA-256')"), "tuned_run": expr("$run")}, then=_LOOK_UP
        ),
        **_resume_states(facts, resumed=resumed),
        **job_states(
            STEP,
            "sagemaker:createTrainingJob.sync",
            _request(facts),
            then=then,
            assign={"features_uri": expr(left_by_job(facts, Prefix.FEATURES))},
            retry=facts.settings.retry,
        ),
    }


def resume_record(values: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a resume record: ``values`` for each of RESUMABLE, and the execution that uses them now."""
    return {name: values[name] for name in RESUMABLE} | {"execution_arn": expr("$states.context.Execution.Id")}


def _resume_states(facts: Facts, *, resumed: str) -> States:
    """Return the states that take up what an execution left that has ended.

    One execution at a time goes on with it: two trainings would write checkpoints over each other's.
    """
    found = {name: expr(f"$found.{name}") for name in RESUMABLE}
    fresh = str(STEP)
    claim = json_object(facts.bucket, RESUME_KEY, resume_record(found)) | {"IfMatch": expr("$found_etag")}
    return {
        _LOOK_UP: get_object(
            STEP,
            facts.bucket,
            RESUME_KEY,
            then=_HAS_ENDED,
            assign={"found": expr("$parse($states.result.Body)"), "found_etag": expr("$states.result.ETag")},
            missing=fresh,
        ),
        _HAS_ENDED: task(
            STEP,
            "aws-sdk:sfn:describeExecution",
            {"ExecutionArn": expr("$found.execution_arn")},
            then=_MAY_GO_ON,
            assign={"found_status": expr("$states.result.Status")},
            catch=[{"ErrorEquals": [NO_EXECUTION], "Next": _CLAIM}],
        ),
        _MAY_GO_ON: choice([(f"$found_status in {RUNNING}", fresh)], otherwise=_CLAIM),
        _CLAIM: task(
            STEP,
            "aws-sdk:s3:putObject",
            claim,
            then=resumed,
            assign={"resumed": True} | found,
            # Another execution was quicker, or has finished what was begun.
            catch=[{"ErrorEquals": [S3_ERROR, NO_SUCH_KEY], "Next": fresh}],
        ),
    }


def _request(facts: Facts) -> dict[str, Any]:
    options = {
        "backbone": expr("$backbone"),
        "views": str(facts.settings.tuning.views),
        "seed": expr("$string($seed)"),
    }
    request = training_job(
        facts,
        STEP,
        facts.settings.jobs.extract,
        hyperparameters=program(facts, "extract_features.py") | options | weights(facts),
        output=output(facts, facts.uri(Prefix.FEATURES), compressed=False),
        inputs=inputs(facts, [prepared_channel(facts)], isolated=weights_channel(facts)),
    )
    # Of the execution, not of the attempt, and beside the training's, which would fetch what stands below its own.
    checkpoints = {"CheckpointConfig": {"S3Uri": expr(f"'{facts.uri(Prefix.CHECKPOINTS)}/' & $run & '-features/'")}}
    return request | checkpoints
