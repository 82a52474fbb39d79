"""What a transform job's request must satisfy beyond its shapes, and how it wants its model asked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_cloud.sagemaker.errors import JobError, validation
from local_cloud.sagemaker.s3 import s3_uri
from local_cloud.sagemaker.validation import members_of
from local_cloud.sagemaker.wire import now

# SageMaker's own: MaxConcurrentTransforms * MaxPayloadInMB must not be above this.
_MAX_MB: Final = 100
_MB: Final = 1024 * 1024
# A filter of the whole record, and no joining: what there is without DataProcessing.
_AS_IT_IS: Final = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
_STRATEGIES: Final = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


def check_transform(request: Mapping[str, Any]) -> None:
    """Refuse what SageMaker refuses, and what is only offered on AWS.

    Raises:
        ServiceError: with all that is wrong.
    """
    problems = [*_limits(request), *_input(request["TransformInput"]), *_on_aws_only(request), *_targets(request)]
    if problems:
        raise validation(" ".join(problems))


def _limits(request: Mapping[str, Any]) -> Iterator[str]:
    payload, concurrent = request.get("MaxPayloadInMB", 0), request.get("MaxConcurrentTransforms", 0)
    if payload > _MAX_MB:
        yield f"MaxPayloadInMB {payload} is greater than {_MAX_MB}."
    elif payload * concurrent > _MAX_MB:
        yield f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {_MAX_MB} MB, got {concurrent} * {payload}."


def _input(given: Mapping[str, Any]) -> Iterator[str]:
    if given["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        yield f"S3DataType {given['DataSource']['S3DataSource']['S3DataType']} is offered on AWS only."
    if given.get("SplitType", "None") not in ("None", "Line"):
        yield f"SplitType {given['SplitType']} is offered on AWS only: use None or Line."
    if given.get("CompressionType", "None") != "None":
        yield f"CompressionType {given['CompressionType']} is offered on AWS only: use None."


def _on_aws_only(request: Mapping[str, Any]) -> Iterator[str]:
    if _AS_IT_IS | request.get("DataProcessing", {}) != _AS_IT_IS:
        yield "DataProcessing (filters, joined sources) is offered on AWS only."
    if "DataCaptureConfig" in request:
        yield "DataCaptureConfig of transform jobs is offered on AWS only."
    if request["TransformResources"]["InstanceCount"] != 1:
        yield "TransformResources.InstanceCount must be 1 here: several instances are offered on AWS only."


def _targets(request: Mapping[str, Any]) -> Iterator[str]:
    source = request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    for uri in (source, request["TransformOutput"]["S3OutputPath"]):
        try:
            s3_uri(uri)
        except JobError as error:
            yield f"{error}."


def described(request: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """Return what Describe shows of a job that has just been created."""
    moment = now()
    shown = {name: value for name, value in request.items() if name in members_of("DescribeTransformJob", "output")}
    shown["TransformInput"] = {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]}
    shown["TransformOutput"] = {"AssembleWith": "None", **request["TransformOutput"]}
    shown["DataProcessing"] = {**_AS_IT_IS, **request.get("DataProcessing", {})}
    return shown | {
        "TransformJobArn": arn,
        "TransformJobStatus": "InProgress",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }


def variables(job: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells a container that it works for a transform job; limits only where the request has them."""
    limits = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": job.get("MaxPayloadInMB"),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": job.get("MaxConcurrentTransforms"),
        "SAGEMAKER_BATCH_STRATEGY": _STRATEGIES.get(job.get("BatchStrategy", "")),
    }
    return {"SAGEMAKER_BATCH": "true"} | {name: str(value) for name, value in limits.items() if value is not None}


@dataclass(frozen=True)
class Limits:
    """How a model is asked: what the request says, else what the container says, else SageMaker's defaults.

    Attributes:
        concurrent: so many requests at once.
        payload_mb: so large a body at most; 0: any.
        single: one record a request.
    """

    concurrent: int
    payload_mb: int
    single: bool

    @property
    def payload_bytes(self) -> int | None:
        """The largest body, or None where there is no limit."""
        return self.payload_mb * _MB or None

    def __str__(self) -> str:
        """Say it as the job's log does."""
        strategy = _STRATEGIES["SingleRecord" if self.single else "MultiRecord"]
        return f"MaxConcurrentTransforms={self.concurrent}, MaxPayloadInMB={self.payload_mb}, BatchStrategy={strategy}"


def limits_of(job: Mapping[str, Any], parameters: bytes) -> Limits:
    """Return the limits of a job whose container answered GET /execution-parameters so.

    Raises:
        JobError: that is no answer, or both together are too much.
    """
    said = _parameters(parameters)
    strategy = _STRATEGIES.get(job.get("BatchStrategy", ""), said.get("BatchStrategy", "MULTI_RECORD"))
    # 0 as much as nothing: SageMaker then takes what the container says.
    concurrent = job.get("MaxConcurrentTransforms") or said.get("MaxConcurrentTransforms", 1)
    payload = job.get("MaxPayloadInMB", said.get("MaxPayloadInMB", 6))
    if strategy not in _STRATEGIES.values() or not _is_limit(concurrent, 1) or not _is_limit(payload, 0):
        raise JobError(f"AlgorithmError: /execution-parameters answered {parameters[:200]!r}")
    if concurrent * payload > _MAX_MB:
        raise JobError(
            f"ClientError: MaxConcurrentTransforms * MaxPayloadInMB must not exceed {_MAX_MB} MB, "
            f"got {concurrent} * {payload}"
        )
    return Limits(concurrent, payload, strategy == "SINGLE_RECORD")


def _parameters(answer: bytes) -> dict[str, Any]:
    try:
        said = json.loads(answer or b"{}")
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise JobError(f"AlgorithmError: /execution-parameters answered {answer[:200]!r}: a JSON object expected")
    return said


def _is_limit(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
