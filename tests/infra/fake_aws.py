"""AWS as the state machine sees it, scripted: every SageMaker request is held against botocore's service model."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from contract.metrics import FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY
from tests.infra.machine import Task, TaskError

SUMMARY = {
    "source": "toy",
    "fingerprint": "f1",
    "classes": 8,
    "counts": {"test": 10_000},
    "left_out": 0,
    "converted": 0,
}
NO_ENDPOINT = TaskError("SageMaker.SageMakerException", 'Could not find endpoint "x". (Service: SageMaker, 400)')
_MODEL = botocore.session.Session().get_service_model("sagemaker")


class FakeAws:
    """One bucket and a SageMaker whose jobs end as told."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.summary: dict[str, Any] = dict(SUMMARY)
        self.calls: list[str] = []
        self.requests: dict[str, list[Any]] = {}
        self.failures: dict[str, TaskError] = {}  # operation or job name's step -> how it fails
        self.metrics = {FINAL_VALID_ACCURACY.name: 0.91, FINAL_TEST_ACCURACY.name: 0.9, "train:loss": 0.1}
        # What DescribeEndpoint answers, one after the other; the last one for ever. None: there is no endpoint.
        self.endpoint: list[dict[str, str] | None] = [None]
        self.sample = {"photo": "s3://b/p.jpg", "true": "Boxer", "predicted": "Boxer", "probability": 0.9}

    def tasks(self) -> dict[str, Task]:
        """Return the functions that Machine wants."""
        sagemaker: dict[str, Callable[[Any], Any]] = {
            "sagemaker:createTrainingJob.sync": self._training_job,
            "sagemaker:createHyperParameterTuningJob.sync": self._tuning_job,
            "aws-sdk:sagemaker:listTrainingJobsForHyperParameterTuningJob": self._trials,
            "sagemaker:createModel": lambda request: {"ModelArn": "arn"},
            "sagemaker:createEndpointConfig": lambda request: {"EndpointConfigArn": "arn"},
            "sagemaker:createEndpoint": self._change_endpoint,
            "sagemaker:updateEndpoint": self._change_endpoint,
            "aws-sdk:sagemaker:describeEndpoint": self._describe_endpoint,
            "aws-sdk:sagemaker:deleteEndpoint": lambda request: {},
        }
        others: dict[str, Callable[[Any], Any]] = {
            "aws-sdk:s3:getObject": self._get,
            "aws-sdk:s3:putObject": self._put,
            "aws-sdk:s3:deleteObject": lambda request: self.objects.pop(request["Key"], {}) and {},
            "lambda:invoke": lambda request: {"StatusCode": 200, "Payload": self.sample},
        }
        return {resource: self._recorded(resource, task) for resource, task in (sagemaker | others).items()}

    def _recorded(self, resource: str, task: Task) -> Task:
        operation = re.split(r"[:.]", resource.removesuffix(".sync"))[-1]

        def call(request: Any) -> Any:
            self.calls.append(operation)
            self.requests.setdefault(operation, []).append(request)
            if "sagemaker" in resource:
                check_request(operation[0].upper() + operation[1:], request)
            if operation in self.failures:
                raise self.failures[operation]
            return task(request)

        return call

    def _training_job(self, request: Any) -> Any:
        name = request["TrainingJobName"]
        step = name.split("-")[2]
        if step in self.failures:
            raise self.failures[step]
        folder = f"{urlsplit(request['OutputDataConfig']['S3OutputPath']).path.strip('/')}/{name}/output"
        if step == "prepare":
            self.objects[f"{folder}/model/summary.json"] = self.summary
        return {
            "TrainingJobName": name,
            "TrainingJobStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://bucket/{folder}/model.tar.gz"},
            "FinalMetricDataList": [{"MetricName": n, "Value": v, "Timestamp": 1} for n, v in self.metrics.items()],
        }

    def _tuning_job(self, request: Any) -> Any:
        best = {"TrainingJobName": "t-001", "TunedHyperParameters": {"lr": "0.02", "batch-size": "64", "epochs": "7"}}
        return {"HyperParameterTuningJobName": request["HyperParameterTuningJobName"], "BestTrainingJob": best}

    def _trials(self, request: Any) -> Any:
        failed = request.get("StatusEquals") == "Failed"
        trial: dict[str, Any] = {
            "TrainingJobName": "t-001",
            "TrainingJobStatus": "Failed" if failed else "Completed",
            "TrainingJobArn": "arn",
            "TunedHyperParameters": {"lr": "0.02"},
        }
        if failed:
            return {"TrainingJobSummaries": [trial | {"FailureReason": "ValueError: no features"}]}
        metric = {"Type": "Maximize", "MetricName": FINAL_VALID_ACCURACY.name, "Value": 0.9}
        return {"TrainingJobSummaries": [trial | {"FinalHyperParameterTuningJobObjectiveMetric": metric}]}

    def _change_endpoint(self, request: Any) -> Any:
        # A change succeeds at once unless a test scripts otherwise.
        self.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": request["EndpointConfigName"]}]
        return {"EndpointArn": "arn"}

    def _describe_endpoint(self, request: Any) -> Any:
        described = self.endpoint.pop(0) if len(self.endpoint) > 1 else self.endpoint[0]
        if described is None:
            raise NO_ENDPOINT
        return described

    def _get(self, request: Any) -> Any:
        if request["Key"] not in self.objects:
            raise TaskError("S3.NoSuchKeyException", "The specified key does not exist.")
        return {"Body": json.dumps(self.objects[request["Key"]])}

    def _put(self, request: Any) -> Any:
        assert isinstance(request["Body"], dict), "a string body would be stored with quotes around it"
        self.objects[request["Key"]] = request["Body"]
        return {"ETag": "x"}


def check_request(operation: str, request: Any) -> None:
    """Fail unless botocore's service model of SageMaker takes the request, patterns and enumerations included."""
    assert xform_name(operation)
    shape = _MODEL.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    _check_text(request, shape, operation)


def _check_text(value: Any, shape: Shape, where: str) -> None:
    """Check what botocore leaves to the service."""
    if isinstance(shape, StructureShape):
        for name, member in value.items():
            _check_text(member, shape.members[name], f"{where}.{name}")
    elif isinstance(shape, ListShape):
        for item in value:
            _check_text(item, shape.member, f"{where}[]")
    elif isinstance(shape, MapShape):
        for item in value.values():
            _check_text(item, shape.value, f"{where}{{}}")
    elif isinstance(value, str):
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max")
        assert not shape.metadata.get("enum") or value in shape.metadata["enum"], f"{where}: {value}"
        assert longest is None or len(value) <= longest, f"{where}: {len(value)} characters, {longest} allowed"
        assert not pattern or re.fullmatch(_python_pattern(pattern), value), f"{where}: {value!r} against {pattern}"


def _python_pattern(pattern: str) -> str:
    r"""Python's re knows no \p{...}; letters, numbers and spaces are what tags use."""
    return pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
