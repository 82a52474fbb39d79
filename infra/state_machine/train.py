"""From the best hyperparameters to a model, resuming from the checkpoint of a training that died."""

from typing import Final

from contract.names import Channel, Prefix, Step
from infra.state_machine.extract import RESUME_KEY
from infra.state_machine.facts import Facts
from infra.state_machine.jobs import RETRY_REQUEST, channel, program, training_job
from infra.state_machine.states import States, expr, state_name, task
from infra.state_machine.tune import TUNING_KEY

STEP: Final = Step.TRAIN
START: Final = str(STEP)
_FORGET = state_name(STEP, "forget where to resume")


def train_states(facts: Facts, *, then: str) -> States:
    """Return the states to ``$training_job_name``, ``$model_uri``, ``$output_uri`` and ``$metrics``."""
    fixed = program(facts, "train_model.py") | {"weights-uri": facts.weights_uri}
    pairs = ", ".join(f"'{name}': '{value}'" for name, value in fixed.items())
    request = training_job(
        facts,
        STEP,
        facts.settings.jobs.train,
        hyperparameters=expr(f"$merge([$hyperparameters, $fine_tune, {{{pairs}, 'seed': $string($seed)}}])"),
        output=facts.uri(Prefix.MODELS),
        compressed=True,
        channels=[
            channel(Channel.PREPARED, "$prepared_uri"),
            channel(Channel.FEATURES, "$features_uri"),
            channel(Channel.TUNING, f"'s3://{facts.bucket}/' & {TUNING_KEY}"),
        ],
    ) | {"CheckpointConfig": {"S3Uri": expr(f"'{facts.uri(Prefix.CHECKPOINTS)}/' & $tuned_run & '/'")}}
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
        STEP: task(
            STEP,
            "sagemaker:createTrainingJob.sync",
            request,
            then=_FORGET,
            assign=left,
            retry=[RETRY_REQUEST],
        ),
        _FORGET: task(STEP, "aws-sdk:s3:deleteObject", forget, then=then),
    }
