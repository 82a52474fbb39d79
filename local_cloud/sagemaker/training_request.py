"""What a training job's request must satisfy beyond its shapes, and what Describe shows of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.sagemaker.errors import JobError, validation
from local_cloud.sagemaker.job_status import enter_stage
from local_cloud.sagemaker.metrics import MetricReader
from local_cloud.sagemaker.s3 import s3_uri
from local_cloud.sagemaker.validation import members_of
from local_cloud.sagemaker.warm_pools import keep_alive
from local_cloud.sagemaker.wire import now

_DEFAULT_RUNTIME = 86_400  # seconds; SageMaker's default
# FastFile shows a job the same files, fetched when they are read; here they are copied before it starts.
_INPUT_MODES = ("File", "FastFile")


def check_job(request: Mapping[str, Any]) -> None:
    """Refuse what SageMaker refuses, and what is only offered on AWS.

    Raises:
        ServiceError: with all that is wrong.
    """
    problems = [*_algorithm(request), *_channels(request), *_resources(request), *_targets(request)]
    if problems:
        raise validation(" ".join(problems))


def _algorithm(request: Mapping[str, Any]) -> Iterator[str]:
    algorithm = request["AlgorithmSpecification"]
    if "TrainingImage" not in algorithm:
        yield "AlgorithmSpecification.TrainingImage is required here (algorithms of the marketplace run on AWS only)."
    if algorithm["TrainingInputMode"] not in _INPUT_MODES:
        yield f"TrainingInputMode {algorithm['TrainingInputMode']} is offered on AWS only: use File or FastFile."
    MetricReader(algorithm.get("MetricDefinitions", []))


def _channels(request: Mapping[str, Any]) -> Iterator[str]:
    seen: set[str] = set()
    for channel in request.get("InputDataConfig", []):
        name = channel["ChannelName"]
        if name in seen:
            yield f"Channel names must be unique: {name} is given more than once."
        seen.add(name)
        source = channel["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] != "S3Prefix":
            yield f"Channel {name}: only S3DataSource with S3DataType S3Prefix is offered here."
        if channel.get("InputMode", "File") not in _INPUT_MODES:
            yield f"Channel {name}: InputMode {channel['InputMode']} is offered on AWS only: use File or FastFile."
        if channel.get("CompressionType", "None") != "None":
            yield f"Channel {name}: CompressionType {channel['CompressionType']} is for Pipe mode: leave it out."


def _resources(request: Mapping[str, Any]) -> Iterator[str]:
    if request.get("ResourceConfig", {}).get("InstanceCount", 1) != 1:
        yield "ResourceConfig.InstanceCount must be 1 here: distributed training is offered on AWS only."
    stopping = request.get("StoppingCondition", {})
    if request.get("EnableManagedSpotTraining"):
        if keep_alive(request):
            yield "KeepAlivePeriodInSeconds is not allowed when EnableManagedSpotTraining is true."
        runtime = stopping.get("MaxRuntimeInSeconds", _DEFAULT_RUNTIME)
        if stopping.get("MaxWaitTimeInSeconds", 0) < runtime:
            yield (
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds."
            )
    elif "MaxWaitTimeInSeconds" in stopping:
        yield "MaxWaitTimeInSeconds is only allowed when EnableManagedSpotTraining is true."


def _targets(request: Mapping[str, Any]) -> Iterator[str]:
    targets = [request["OutputDataConfig"]["S3OutputPath"]]
    if "CheckpointConfig" in request:
        targets.append(request["CheckpointConfig"]["S3Uri"])
    for uri in targets:
        try:
            s3_uri(uri)
        except JobError as error:
            yield f"{error}."


def described(request: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """Return what Describe shows of a job that has just been created."""
    moment = now()
    shown = {name: value for name, value in request.items() if name in members_of("DescribeTrainingJob", "output")}
    shown |= {
        "TrainingJobArn": arn,
        "ModelArtifacts": {"S3ModelArtifacts": _model_artifacts(request)},
        "TrainingJobStatus": "InProgress",
        "StoppingCondition": {"MaxRuntimeInSeconds": _DEFAULT_RUNTIME, **request.get("StoppingCondition", {})},
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": request.get("EnableInterContainerTrafficEncryption", False),
        "EnableManagedSpotTraining": request.get("EnableManagedSpotTraining", False),
        "CreationTime": moment,
    }
    enter_stage(shown, "Starting", "Starting the training job")
    return shown


def _model_artifacts(request: Mapping[str, Any]) -> str:
    output = s3_uri(request["OutputDataConfig"]["S3OutputPath"]) / request["TrainingJobName"] / "output"
    return str(output / ("model" if request["OutputDataConfig"].get("CompressionType") == "NONE" else "model.tar.gz"))
