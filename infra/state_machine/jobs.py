"""The parts of SageMaker requests that several steps share."""

from typing import Any, Final

from contract import metrics
from contract.names import Channel, Step
from infra.settings import Job
from infra.state_machine.facts import Facts
from infra.state_machine.states import SAGEMAKER_ERROR, State, expr

_NO_CONNECTION: Final = "SageMaker.SdkClientException"
# The optimised integration has one error for throttling and for everything else that SageMaker answers, so a request
# that is refused for good is repeated too: hence few attempts. A job that fails is another error, and never repeated.
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


def program(facts: Facts, script: str) -> dict[str, str]:
    """Return the hyperparameters by which the image finds the code to run."""
    return {"sagemaker_program": f"training/{script}", "sagemaker_submit_directory": facts.source_bundle}


def algorithm(facts: Facts, job: Job) -> dict[str, Any]:
    """Return AlgorithmSpecification (HyperParameterAlgorithmSpecification of a trial)."""
    return {
        "TrainingImage": facts.image(gpu=job.gpu),
        "TrainingInputMode": "File",
        "MetricDefinitions": [metric.definition() for metric in metrics.ALL],
    }


def channel(name: Channel, uri: str) -> dict[str, Any]:
    """Return one entry of InputDataConfig; ``uri`` is a JSONata expression."""
    source = {"S3DataType": "S3Prefix", "S3Uri": expr(uri), "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": str(name), "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def resources(job: Job) -> dict[str, Any]:
    """Return the members that say where a job runs, for how long, and whether on spot instances."""
    stopping: dict[str, int] = {"MaxRuntimeInSeconds": job.max_runtime_seconds}
    if job.spot:
        stopping["MaxWaitTimeInSeconds"] = job.max_runtime_seconds + job.spot_wait_seconds
    return {
        "ResourceConfig": {
            "InstanceType": job.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": job.volume_gb,
        },
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": job.spot,
        "RetryStrategy": {"MaximumRetryAttempts": _INTERNAL_ERROR_RETRIES},
    }


def training_job(
    facts: Facts,
    step: Step,
    job: Job,
    *,
    hyperparameters: str | dict[str, str],
    output: str,
    channels: list[dict[str, Any]],
    compressed: bool = False,
) -> dict[str, Any]:
    """Return a CreateTrainingJob request; an uncompressed output can be the next job's channel as it is."""
    request = {
        "TrainingJobName": expr(facts.job_name(step)),
        "HyperParameters": hyperparameters,
        "AlgorithmSpecification": algorithm(facts, job),
        "RoleArn": facts.job_role,
        "OutputDataConfig": {"S3OutputPath": output, "CompressionType": "GZIP" if compressed else "NONE"},
        **resources(job),
        "Tags": facts.tags(step),
    }
    return request | {"InputDataConfig": channels} if channels else request
