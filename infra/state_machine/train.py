"""From the best hyperparameters to a model, resuming from the checkpoint of a training that died."""

from typing import Any, Final

from contract.names import FOUND_FILE, Channel, Prefix, Step
from infra.state_machine.attempts import job_states
from infra.state_machine.debugger import managed_debugging
from infra.state_machine.extract import RESUME_KEY
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import (
    channel,
    inputs,
    output,
    prepared_channel,
    program,
    training_job,
    weights,
    weights_channel,
)
from infra.state_machine.states import NO_SUCH_KEY, State, States, expr, get_object, state_name, task
from infra.state_machine.tune import TUNING_KEY

STEP: Final = Step.TRAIN
START: Final = str(STEP)
_FOUND = state_name(STEP, "read what its rules found")
_FORGET = state_name(STEP, "forget where to resume")
# Of the run that was tuned, not of the attempt or the execution: whichever comes next goes on from there.
_CHECKPOINTS: Final = f"'{Prefix.CHECKPOINTS}/' & $tuned_run & '/"


def train_states(facts: Facts, *, then: str) -> States:
    """Return the states to ``$training_job_name``, ``$model_uri``, ``$output_uri``, ``$metrics`` and ``$findings``."""
    final = "$states.result.FinalMetricDataList[$substring(MetricName, 0, 6) = 'final:'].{MetricName: Value}"
    model = "$states.result.ModelArtifacts.S3ModelArtifacts"
    left = {
        "training_job_name": expr("$states.result.TrainingJobName"),
        "model_uri": expr(model),
        "output_uri": expr(f"$substringBefore({model}, 'model.tar.gz') & 'output.tar.gz'"),
        "metrics": expr(f"$merge([{final}])"),
    }
    forget = {"Bucket": facts.bucket, "Key": expr(RESUME_KEY)}
    return {
        **job_states(
            STEP,
            "sagemaker:createTrainingJob.sync",
            _request(facts),
            then=_FOUND,
            assign=left,
            retry=facts.settings.retry,
        ),
        _FOUND: _read_findings(facts),
        _FORGET: task(STEP, "aws-sdk:s3:deleteObject", forget, then=then),
    }


def _read_findings(facts: Facts) -> State:
    """Return the task that reads found.json, made small by the training; the numbers in it are metrics, too."""
    record = get_object(
        STEP,
        facts.bucket,
        f"{_CHECKPOINTS}{FOUND_FILE}'",
        then=_FORGET,
        assign={"findings": expr("$parse($states.result.Body)")},
    )
    # Where it is missing, the gate still knows from the metrics whether there were errors.
    nothing = {"ErrorEquals": [NO_SUCH_KEY], "Assign": {"findings": {"errors": [], "warnings": []}}, "Next": _FORGET}
    return record | {"Catch": [nothing, *record["Catch"]]}


def _request(facts: Facts) -> dict[str, Any]:
    recipe = facts.settings.training.recipe.as_strings()
    # The toolkit's word for: one process per GPU, where there are several.
    fixed = program(facts, "train_model.py") | weights(facts) | recipe | {"sagemaker_torch_distributed_enabled": "true"}
    fixed |= {
        "known-share": str(facts.settings.answers.known_share or 0),
        "source-revision": facts.source_revision,
        "profiler": str(facts.settings.profiler),
        "loader-threads": str(facts.settings.loader_threads),
    }
    fixed |= facts.settings.rules.as_strings()
    if facts.settings.tracking.mlflow_uri is not None:
        fixed["mlflow-uri"] = facts.settings.tracking.mlflow_uri
    pairs = ", ".join(f"'{name}': '{value}'" for name, value in fixed.items())
    channels = [
        prepared_channel(facts),
        channel(Channel.FEATURES, "$features_uri"),
        channel(Channel.TUNING, f"'s3://{facts.bucket}/' & {TUNING_KEY}"),
    ]
    request = training_job(
        facts,
        STEP,
        facts.settings.jobs.train,
        hyperparameters=expr(f"$merge([$hyperparameters, $fine_tune, {{{pairs}, 'seed': $string($seed)}}])"),
        output=output(facts, facts.uri(Prefix.MODELS)),
        inputs=inputs(facts, channels, isolated=weights_channel(facts)),
    )
    checkpoints = {"CheckpointConfig": {"S3Uri": expr(f"'s3://{facts.bucket}/' & {_CHECKPOINTS}'")}}
    return request | checkpoints | managed_debugging(facts)
