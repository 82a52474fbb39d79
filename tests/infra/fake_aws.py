"""AWS as the state machine sees it, scripted: every SageMaker request is held against botocore's service model."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from contract.metrics import FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY, FINAL_VALID_LOSS
from contract.names import FOUND_FILE
from tests.infra.fake_bucket import FakeBucket
from tests.infra.fake_registry import FakeRegistry
from tests.infra.machine import Execution, Task, TaskError

SUMMARY = {
    "source": "toy",
    "fingerprint": "f1",
    "classes": 8,
    "counts": {"test": 10_000},
    "left_out": 0,
    "converted": 0,
}
# What training/sweep.py leaves.
SWEPT = {
    "tuning_job_name": "sweep",
    "hyperparameters": {"lr": "0.05", "batch-size": "16", "epochs": "6"},
    "trials": [
        {"name": "trial-001", "status": "Completed", "objective": 0.8, "loss": 0.4, "hyperparameters": {"lr": "0.05"}}
    ],
}
NO_ENDPOINT = TaskError("SageMaker.SageMakerException", 'Could not find endpoint "x". (Service: SageMaker, 400)')
_NO_EXECUTION = TaskError("Sfn.ExecutionDoesNotExistException", "Execution Does Not Exist (Service: Sfn, 400)")
_SESSION = botocore.session.Session()
# What is in a resource -> the service whose model its requests must fit.
_CHECKED = (("sagemaker", "sagemaker"), ("applicationautoscaling", "application-autoscaling"), (":sns:", "sns"))


class FakeAws:
    """One bucket, a model registry, and a SageMaker whose jobs and endpoints end as told."""

    def __init__(self) -> None:
        self.bucket = FakeBucket()
        self.objects = self.bucket.objects
        self.registry = FakeRegistry()
        self.executions: dict[str, Execution] = {}
        self.summary: dict[str, Any] = dict(SUMMARY)
        self.calls: list[str] = []
        self.requests: dict[str, list[Any]] = {}
        self.failures: dict[str, TaskError] = {}  # operation or job name's step -> how it fails
        self.metrics = {FINAL_VALID_ACCURACY.name: 0.91, FINAL_TEST_ACCURACY.name: 0.9, "train:loss": 0.1}
        # What the training leaves of its findings, where it leaves any.
        self.found: dict[str, list[str]] | None = {"errors": [], "warnings": []}
        # What DescribeEndpoint answers, one after the other; the last one for ever. None: there is no endpoint.
        self.endpoint: list[dict[str, str] | None] = [None]
        self.rehearsal: list[dict[str, str] | None] = [{"EndpointStatus": "InService", "EndpointConfigName": "r"}]
        # The endpoints of rehearsals that exist, and whether the users' endpoint is scaled.
        self.rehearsals: set[str] = set()
        self.scaled = False
        # The trials of the tuning: name -> its accuracy and loss; None: it has reported none.
        self.trials: dict[str, tuple[float | None, float | None]] = {"t-001": (0.9, 0.3)}
        self.sample = {"photo": "s3://b/p.jpg", "true": "Boxer", "predicted": "Boxer", "probability": 0.9}

    def tasks(self) -> dict[str, Task]:
        """Return the functions that Machine wants."""
        sagemaker: dict[str, Callable[[Any], Any]] = {
            "sagemaker:createTrainingJob.sync": self._training_job,
            "sagemaker:createHyperParameterTuningJob.sync": self._tuning_job,
            "aws-sdk:sagemaker:listTrainingJobsForHyperParameterTuningJob": self._trials,
            "aws-sdk:sagemaker:describeTrainingJob": self._describe_trial,
            "aws-sdk:sagemaker:createModelPackageGroup": self.registry.create_group,
            "aws-sdk:sagemaker:createModelPackage": self.registry.create,
            "aws-sdk:sagemaker:describeModelPackage": self.registry.describe,
            "aws-sdk:sagemaker:updateModelPackage": self.registry.update,
            "sagemaker:createModel": lambda request: {"ModelArn": "arn"},
            "sagemaker:createEndpointConfig": lambda request: {"EndpointConfigArn": "arn"},
            "sagemaker:createEndpoint": self._create_endpoint,
            "sagemaker:updateEndpoint": self._change_endpoint,
            "aws-sdk:sagemaker:describeEndpoint": self._describe_endpoint,
            "aws-sdk:sagemaker:deleteEndpoint": self.delete_endpoint,
        }
        scaling: dict[str, Callable[[Any], Any]] = {
            "registerScalableTarget": self._scale,
            "deregisterScalableTarget": self._unscale,
            "putScalingPolicy": lambda request: {"PolicyARN": "arn", "Alarms": []},
            "putScheduledAction": lambda request: {},
        }
        others: dict[str, Callable[[Any], Any]] = {
            "aws-sdk:s3:getObject": self.bucket.get,
            "aws-sdk:s3:putObject": self.bucket.put,
            "aws-sdk:s3:deleteObject": self.bucket.delete,
            "aws-sdk:s3:listObjectsV2": lambda request: {"KeyCount": 0},
            "aws-sdk:sfn:describeExecution": self._describe_execution,
            "aws-sdk:sns:publish": lambda request: {"MessageId": "m"},
            "lambda:invoke": lambda request: {"StatusCode": 200, "Payload": self.sample},
        }
        everything = sagemaker | others | {f"aws-sdk:applicationautoscaling:{name}": f for name, f in scaling.items()}
        return {resource: self._recorded(resource, task) for resource, task in everything.items()}

    def _recorded(self, resource: str, task: Task) -> Task:
        operation = re.split(r"[:.]", resource.removesuffix(".sync"))[-1]

        def call(request: Any) -> Any:
            self.calls.append(operation)
            self.requests.setdefault(operation, []).append(request)
            for service, name in _CHECKED:
                if service in resource:
                    check_request(operation[0].upper() + operation[1:], request, name)
            if operation in self.failures:
                raise self.failures[operation]
            return task(request)

        return call

    def _create_endpoint(self, request: Any) -> Any:
        if _is_rehearsal(request):
            self.rehearsals.add(request["EndpointName"])
            return {"EndpointArn": "arn"}
        return self._change_endpoint(request)

    def delete_endpoint(self, request: Any) -> Any:
        if _is_rehearsal(request):
            if request["EndpointName"] not in self.rehearsals:
                raise NO_ENDPOINT
            self.rehearsals.remove(request["EndpointName"])
        return {}

    def _scale(self, request: Any) -> Any:
        self.scaled = True
        return {"ScalableTargetARN": "arn"}

    def _unscale(self, request: Any) -> Any:
        if not self.scaled:
            raise TaskError("ApplicationAutoScaling.ObjectNotFoundException", "No scalable target registered")
        self.scaled = False
        return {}

    def _describe_execution(self, request: Any) -> Any:
        if request["ExecutionArn"] not in self.executions:
            raise _NO_EXECUTION
        return {"Status": self.executions[request["ExecutionArn"]].status}

    def _training_job(self, request: Any) -> Any:
        name = request["TrainingJobName"]
        step = name.split("-")[2]
        if step in self.failures:
            raise self.failures[step]
        folder = f"{urlsplit(request['OutputDataConfig']['S3OutputPath']).path.strip('/')}/{name}/output"
        if step == "prepare":
            self.objects[f"{folder}/model/summary.json"] = self.summary
        if step == "tune":
            self.objects[f"{folder}/model/tuning.json"] = SWEPT
        if step == "train" and self.found is not None:
            checkpoints = urlsplit(request["CheckpointConfig"]["S3Uri"]).path.strip("/")
            self.objects[f"{checkpoints}/{FOUND_FILE}"] = self.found
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
        if request.get("StatusEquals") == "Failed":
            failed = {"TrainingJobStatus": "Failed", "FailureReason": "ValueError: no features"}
            return {"TrainingJobSummaries": [_trial("t-001") | failed]}
        return {"TrainingJobSummaries": [_trial(name) for name in self.trials]}

    def _describe_trial(self, request: Any) -> Any:
        accuracy, loss = self.trials[request["TrainingJobName"]]
        values = {FINAL_VALID_ACCURACY.name: accuracy, FINAL_VALID_LOSS.name: loss, "train:loss": 0.1}
        metrics = [{"MetricName": name, "Value": value} for name, value in values.items() if value is not None]
        return {"TrainingJobName": request["TrainingJobName"], "FinalMetricDataList": metrics}

    def _change_endpoint(self, request: Any) -> Any:
        # A change succeeds at once unless a test scripts otherwise.
        self.endpoint = [{"EndpointStatus": "InService", "EndpointConfigName": request["EndpointConfigName"]}]
        return {"EndpointArn": "arn"}

    def _describe_endpoint(self, request: Any) -> Any:
        script = self.rehearsal if _is_rehearsal(request) else self.endpoint
        described = script.pop(0) if len(script) > 1 else script[0]
        if described is None:
            raise NO_ENDPOINT
        return described


def _trial(name: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "Completed",
        "TrainingJobArn": "arn",
        "TunedHyperParameters": {"lr": f"0.0{int(name[-1]) + 1}", "batch-size": "64", "epochs": "7"},
    }


def _is_rehearsal(request: Any) -> bool:
    """Whether a request is about an endpoint that is named after a run: the users' one is named after the stage."""
    return str(request["EndpointName"]).count("-") > 1


def check_request(operation: str, request: Any, service: str = "sagemaker") -> None:
    """Fail unless botocore's service model takes the request, patterns and enumerations included."""
    assert xform_name(operation)
    shape = _SESSION.get_service_model(service).operation_model(operation).input_shape
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
        for key, item in value.items():
            _check_text(key, shape.key, f"{where}{{key}}")
            _check_text(item, shape.value, f"{where}{{}}")
    elif isinstance(value, str):
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max")
        assert not shape.metadata.get("enum") or value in shape.metadata["enum"], f"{where}: {value}"
        assert longest is None or len(value) <= longest, f"{where}: {len(value)} characters, {longest} allowed"
        assert not pattern or re.fullmatch(_python_pattern(pattern), value), f"{where}: {value!r} against {pattern}"


# Python's re knows no \p{...}: letters, marks, numbers, spaces, signs, in ASCII.
_CLASSES = {"L": "a-zA-Z", "M": "", "N": "0-9", "Z": r"\s", "S": r"$+<=>^`|~", "P": r"!-#%-*,-/:;?@\[-\]_{}"}


def _python_pattern(pattern: str) -> str:
    pattern = re.sub(r"\\p\{([LMNZSP])\}", lambda found: _CLASSES[found[1]], pattern)
    # Characters beyond 16 bits, as Java writes them.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "")
    # The model of CustomerMetadataProperties has the length behind the pattern's end.
    return pattern.replace(r"\p{Print}", "[ -~]").partition("${1,")[0]
