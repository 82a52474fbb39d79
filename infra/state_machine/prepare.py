"""From the execution's input to prepared photos; the same content-addressed source is prepared once."""

from typing import Any, Final

from contract.names import Channel, Prefix, PreparedFile, Step
from infra.settings import BACKBONES, RUN_ID_LENGTH
from infra.state_machine.attempts import FIRST_ATTEMPT, job_states
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import channel, inputs, left_by_job, output, program, training_job
from infra.state_machine.states import (
    FAILED,
    States,
    assign,
    choice,
    expr,
    failure,
    get_object,
    put_object,
    state_name,
    task,
)

STEP: Final = Step.PREPARE
START: Final = state_name(STEP, "read the input")
_CHECK = state_name(STEP, "check the input")
_WEIGHTS = state_name(STEP, "look for the backbone's weights")
_SUFFICE = state_name(STEP, "are the weights there")
_KNOWN = state_name(STEP, "is the source content-addressed")
_LOOK_UP = state_name(STEP, "look for an earlier result")
_REUSE = state_name(STEP, "read the earlier result")
_SUMMARY = state_name(STEP, "read the summary")
_IS_NEW = state_name(STEP, "can the result be reused")
_REMEMBER = state_name(STEP, "remember the result")

_MAX_TRIALS: Final = 100
_BODY: Final = "$parse($states.result.Body)"


def prepare_states(facts: Facts, *, then: str) -> States:
    """Return the states from the start of an execution to ``$data`` and ``$prepared_uri``."""
    key = f"'{Prefix.PREPARED_INDEX}/' & $prepared_key & '.json'"
    summary = f"$substringAfter($prepared_uri, 's3://{facts.bucket}/') & '{PreparedFile.SUMMARY}'"
    ready = _WEIGHTS if facts.settings.network.isolation else _KNOWN
    return {
        START: assign(_input_variables(facts), then=_CHECK),
        _CHECK: choice([(wrong, FAILED, failure(STEP, cause)) for wrong, cause in _refusals(facts)], otherwise=ready),
        **(_weights_states(facts, then=_KNOWN) if facts.settings.network.isolation else {}),
        _KNOWN: choice([("$source_fingerprint != ''", _LOOK_UP, _prepared_key(facts))], otherwise=STEP),
        _LOOK_UP: get_object(
            STEP, facts.bucket, key, then=_REUSE, assign={"prepared_uri": expr(f"{_BODY}.prepared_uri")}, missing=STEP
        ),
        _REUSE: get_object(STEP, facts.bucket, summary, then=then, assign={"data": expr(_BODY)}, missing=STEP),
        **job_states(
            STEP,
            "sagemaker:createTrainingJob.sync",
            _request(facts),
            then=_SUMMARY,
            assign={"prepared_uri": expr(left_by_job(facts, Prefix.PREPARED))},
            retry=facts.settings.retry,
        ),
        _SUMMARY: get_object(STEP, facts.bucket, summary, then=_IS_NEW, assign={"data": expr(_BODY)}),
        _IS_NEW: choice([("$source_fingerprint != ''", _REMEMBER)], otherwise=then),
        _REMEMBER: put_object(STEP, facts.bucket, key, {"prepared_uri": expr("$prepared_uri")}, then=then),
    }


def _request(facts: Facts) -> dict[str, Any]:
    options = {"source": expr("$source"), "seed": expr("$string($seed)"), "shard-photos": _shard_photos(facts)}
    # SageMaker would take "s3://b/dogs" for the beginning of keys, and fetch s3://b/dogs2/ as well.
    photos = "$contains($source, /([.]zip|[/])$/i) ? $source : $source & '/'"
    return training_job(
        facts,
        STEP,
        facts.settings.jobs.prepare,
        hyperparameters=program(facts, "prepare.py") | options,
        output=output(facts, facts.uri(Prefix.PREPARED), compressed=False),
        inputs=inputs(facts, [], isolated=("$source != 'toy'", channel(Channel.SOURCE, photos))),
    )


def _weights_states(facts: Facts, *, then: str) -> States:
    """Look for pretrained weights, which a job without a network can only get as a channel, to ``$weights_given``."""
    place = facts.weights_uri
    missing = (
        f"'network isolation is on and nothing stands below {place}: put resnet50.pth there, "
        'or choose the backbone "efficientnet_lite0" or "auto"\''
    )
    needed = "$backbone = 'resnet50' and $not($weights_given)"
    return {
        _WEIGHTS: task(
            STEP,
            "aws-sdk:s3:listObjectsV2",
            {"Bucket": facts.bucket, "Prefix": f"{facts.settings.weights_prefix}/", "MaxKeys": 1},
            then=_SUFFICE,
            assign={"weights_given": expr("$exists($states.result.Contents[0])")},
        ),
        _SUFFICE: choice([(needed, FAILED, failure(STEP, missing))], otherwise=then),
    }


def _input_variables(facts: Facts) -> dict[str, Any]:
    """Return the variables of an execution: what its input says, else the stage's defaults."""
    defaults = facts.settings.defaults
    unset = "{}" if defaults.epochs is None else f"{{'fine-tune-epochs': '{defaults.epochs}'}}"
    # The drawn photos depend on nothing but the code and the seed, which are part of every key.
    toy = f"{_given('source', defaults.source)} = 'toy' ? 'toy' : ''"
    return {
        "run": expr(f"$substring($replace($uuid(), '-', ''), 0, {RUN_ID_LENGTH})"),
        "source": expr(_given("source", defaults.source)),
        "source_fingerprint": expr(f"{_is_given('source_fingerprint')} ? $states.input.source_fingerprint : ({toy})"),
        "backbone": expr(_given("backbone", defaults.backbone)),
        "trials": expr(_given("trials", defaults.trials)),
        "seed": expr(_given("seed", defaults.seed)),
        "fine_tune": expr(
            f"{_is_given('epochs')} ? {{'fine-tune-epochs': $string($states.input.epochs)}} : {unset}",
        ),
        "resumed": False,
        **FIRST_ATTEMPT,
    }


def _is_given(key: str) -> str:
    return f"($exists($states.input.{key}) and $states.input.{key} != null)"


def _given(key: str, default: str | int) -> str:
    literal = f"'{default}'" if isinstance(default, str) else str(default)
    return f"({_is_given(key)} ? $states.input.{key} : {literal})"


def _refusals(facts: Facts) -> list[tuple[str, str]]:
    """Return (condition that holds for a wrong input, cause), both JSONata."""
    reachable = "$source = 'toy' or $substring($source, 0, 5) = 's3://'" if facts.settings.network.isolation else "true"
    backbones = ", ".join(BACKBONES)
    trials = f"$type($trials) != 'number' or $trials < 1 or $trials > {_MAX_TRIALS} or $floor($trials) != $trials"
    return [
        (
            "$type($source) != 'string' or $source = ''",
            '\'the input "source" must be "toy", an https:// zip or an s3:// prefix, got \' & $string($source)',
        ),
        (
            f"$not({reachable})",
            '\'network isolation is on, and no job reaches a network: the input "source" must be an s3:// address or '
            '"toy", got \' & $source',
        ),
        (
            f"$not($backbone in {list(BACKBONES)})",
            f"'the input \"backbone\" must be one of {backbones}, got ' & $string($backbone)",
        ),
        (
            trials,
            f"'the input \"trials\" must be a whole number from 1 to {_MAX_TRIALS}, got ' & $string($trials)",
        ),
        (
            "$type($seed) != 'number' or $seed < 0 or $floor($seed) != $seed",
            "'the input \"seed\" must be a whole number from 0, got ' & $string($seed)",
        ),
        (
            "$string($fine_tune) != '{}' and $not($contains($lookup($fine_tune, 'fine-tune-epochs'), /^[0-9]{1,4}$/))",
            "'the input \"epochs\" must be a whole number from 0, got ' & $lookup($fine_tune, 'fine-tune-epochs')",
        ),
    ]


def _shard_photos(facts: Facts) -> str:
    return str(facts.settings.dataset.shard_photos)


def _prepared_key(facts: Facts) -> dict[str, str]:
    parts = f"[$source_fingerprint, $string($seed), '{_shard_photos(facts)}', '{facts.source_bundle}']"
    return {"prepared_key": expr(f"$hash($join({parts}, '|'), 'SHA-256')")}
