"""The parts of SageMaker requests that several steps share, and what the state machine may ask of SageMaker's jobs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import aws_iam as iam
from constructs import Construct

from contract import metrics
from contract.names import Channel, Prefix, Step
from infra.instance_types import has_local_disks
from infra.policies import allow, arn
from infra.settings import Job
from infra.state_machine.facts import Facts
from infra.state_machine.states import SAGEMAKER_ERROR, State, expr

_NO_CONNECTION: Final = "SageMaker.SdkClientException"
# The optimised integration has one error for throttling and for everything else that SageMaker answers, so a request
# that is refused for good is repeated too: hence few attempts. Jobs look at the reason instead: see attempts.py.
RETRY_REQUEST: Final[State] = {
    "ErrorEquals": ["SageMaker.AmazonSageMakerException", _NO_CONNECTION],
    "IntervalSeconds": 2,
    "MaxAttempts": 2,
    "BackoffRate": 3,
    "JitterStrategy": "FULL",
}
RETRY_AWS_SDK: Final[State] = RETRY_REQUEST | {"ErrorEquals": [SAGEMAKER_ERROR, _NO_CONNECTION]}
# Where the error that throttling shares has another meaning, too.
RETRY_CONNECTION: Final[State] = RETRY_REQUEST | {"ErrorEquals": [_NO_CONNECTION]}
# SageMaker's own retries, which cover its internal errors only.
_INTERNAL_ERROR_RETRIES: Final = 2
# Where a channel stands in the container; the launcher translates it where the container's base is another.
_CHANNELS: Final = "/opt/ml/input/data"
PASSED_TO_SAGEMAKER: Final[dict[str, Any]] = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
# A .sync task is told of the job's end by a rule that Step Functions makes and owns.
_MANAGED_RULES: Final = (
    "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "StepFunctionsGetEventsForSageMakerTuningJobsRule",
)


def program(facts: Facts, script: str) -> dict[str, str]:
    """Return the hyperparameters by which the image finds the code to run."""
    isolated = facts.settings.network.isolation
    submitted = f"{_CHANNELS}/{Channel.CODE}" if isolated else facts.source_bundle
    return {"sagemaker_program": f"training/{script}", "sagemaker_submit_directory": submitted}


def algorithm(facts: Facts, job: Job) -> dict[str, Any]:
    """Return AlgorithmSpecification (HyperParameterAlgorithmSpecification of a trial)."""
    return {
        "TrainingImage": facts.image(gpu=job.gpu),
        "TrainingInputMode": "File",
        "MetricDefinitions": [metric.definition() for metric in metrics.ALL],
    }


def channel(name: Channel, uri: str, mode: str = "File") -> dict[str, Any]:
    """Return one entry of InputDataConfig; ``uri`` is a JSONata expression."""
    source = {"S3DataType": "S3Prefix", "S3Uri": expr(uri), "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": str(name), "DataSource": {"S3DataSource": source}, "InputMode": mode}


def prepared_channel(facts: Facts) -> dict[str, Any]:
    """Return the channel of the prepared photos, copied or streamed as the settings say."""
    return channel(Channel.PREPARED, "$prepared_uri", facts.settings.dataset.input_mode)


def inputs(
    facts: Facts, always: Sequence[dict[str, Any]], *, isolated: tuple[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return InputDataConfig, where there are channels.

    Args:
        facts: whether the network is isolated: only then is there the channel with the code.
        always: channels of every job of this kind.
        isolated: a condition (JSONata) and the channel that a job without a network has where that holds; SageMaker
            ends a job one of whose channels finds no object.
    """
    channels = list(always)
    if not facts.settings.network.isolation:
        return {"InputDataConfig": channels} if channels else {}
    channels.append(channel(Channel.CODE, f"'{facts.source_bundle}'"))
    if isolated is None:
        return {"InputDataConfig": channels}
    condition, more = isolated
    return {"InputDataConfig": expr(f"{condition} ? {_literal([*channels, more])} : {_literal(channels)}")}


def _literal(value: object) -> str:
    """Return a template as one JSONata expression."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"'{key}': {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, str):
        return f"({value[2:-2].strip()})" if value.startswith("{%") else f"'{value}'"
    return json.dumps(value)


def weights(facts: Facts) -> dict[str, str]:
    """Return the hyperparameter that says where pretrained weights stand; without a network they come as a channel."""
    return {} if facts.settings.network.isolation else {"weights-uri": facts.weights_uri}


def weights_channel(facts: Facts) -> tuple[str, dict[str, Any]]:
    """Return the channel of pretrained weights and the condition on which a job without a network has it."""
    return "$weights_given", channel(Channel.WEIGHTS, f"'{facts.weights_uri}'")


def left_by_job(facts: Facts, prefix: Prefix) -> str:
    """Return where the job whose result is at hand left its uncompressed output below ``prefix``, as JSONata."""
    return f"'{facts.uri(prefix)}/' & $states.result.TrainingJobName & '/output/model/'"


def output(facts: Facts, uri: str, *, compressed: bool = True) -> dict[str, Any]:
    """Return OutputDataConfig; an uncompressed output can be the next job's channel as it is."""
    key = {"KmsKeyId": facts.customer_key} if facts.customer_key else {}
    return {"S3OutputPath": uri, "CompressionType": "GZIP" if compressed else "NONE", **key}


def resources(facts: Facts, job: Job) -> dict[str, Any]:
    """Return the members that say where a job runs, for how long, and whether on spot instances."""
    instances: dict[str, Any] = {
        "InstanceType": job.instance_type,
        "InstanceCount": 1,
        "VolumeSizeInGB": job.volume_gb,
    }
    if facts.customer_key and not has_local_disks(job.instance_type):
        instances["VolumeKmsKeyId"] = facts.customer_key
    if job.keep_alive_seconds:
        instances["KeepAlivePeriodInSeconds"] = job.keep_alive_seconds
    stopping: dict[str, int] = {"MaxRuntimeInSeconds": job.max_runtime_seconds}
    if job.spot:
        stopping["MaxWaitTimeInSeconds"] = job.max_runtime_seconds + job.spot_wait_seconds
    return {
        "ResourceConfig": instances,
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": job.spot,
        "RetryStrategy": {"MaximumRetryAttempts": _INTERNAL_ERROR_RETRIES},
        **_network(facts),
    }


def _network(facts: Facts) -> dict[str, Any]:
    network = facts.settings.network
    members: dict[str, Any] = {"EnableNetworkIsolation": network.isolation}
    if network.subnets:
        members["VpcConfig"] = {
            "Subnets": list(network.subnets),
            "SecurityGroupIds": list(network.security_groups),
        }
    return members


def training_job(
    facts: Facts,
    step: Step,
    job: Job,
    *,
    hyperparameters: str | dict[str, str],
    output: dict[str, Any],
    inputs: dict[str, Any],
) -> dict[str, Any]:
    """Return a CreateTrainingJob request; ``output`` and ``inputs`` are what the functions of these names return."""
    return {
        "TrainingJobName": expr(facts.job_name(step)),
        "HyperParameters": hyperparameters,
        "AlgorithmSpecification": algorithm(facts, job),
        "RoleArn": facts.job_role,
        "OutputDataConfig": output,
        **inputs,
        **resources(facts, job),
        "Tags": facts.tags(step),
    }


def job_statements(scope: Construct, facts: Facts) -> list[iam.PolicyStatement]:
    """Return what the state machine needs to start, watch and stop this stage's jobs."""
    training = arn(scope, "sagemaker", "training-job", f"{facts.settings.prefix}-*")
    tuning = arn(scope, "sagemaker", "hyper-parameter-tuning-job", f"{facts.settings.prefix}-*")
    jobs = [training, tuning]
    rules = [arn(scope, "events", "rule", rule) for rule in _MANAGED_RULES]
    tuner = [
        allow(["sagemaker:CreateHyperParameterTuningJob"], [tuning], sid="TuningStart"),
        allow(["sagemaker:DescribeHyperParameterTuningJob"], [tuning], sid="TuningWatch"),
        allow(["sagemaker:StopHyperParameterTuningJob"], [tuning], sid="TuningStop"),
        allow(["sagemaker:ListTrainingJobsForHyperParameterTuningJob"], [tuning], sid="TuningTrials"),
    ]
    if facts.settings.tuning.mode == "single_job":
        tuner, jobs = [], [training]
    return [
        allow(["sagemaker:CreateTrainingJob"], [training], sid="TrainingStart"),
        allow(["sagemaker:DescribeTrainingJob"], [training], sid="TrainingWatch"),
        allow(["sagemaker:StopTrainingJob"], [training], sid="TrainingStop"),
        *tuner,
        allow(["sagemaker:AddTags"], jobs, sid="JobTags"),
        allow(["sagemaker:ListTags"], jobs, sid="JobTagsRead"),
        allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], rules, sid="JobEvents"),
        allow(["iam:PassRole"], [facts.job_role], sid="JobRolePass", conditions=PASSED_TO_SAGEMAKER),
    ]
