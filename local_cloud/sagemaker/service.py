"""The SageMaker service: one object that takes requests and owns every process it starts."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from local_cloud.sagemaker.capture import DataCapture
from local_cloud.sagemaker.config import LogStream, S3Client, ServiceConfig
from local_cloud.sagemaker.endpoints import Endpoints
from local_cloud.sagemaker.errors import ServiceError, unknown_operation, validation
from local_cloud.sagemaker.hosting import EndpointConfigs, Models
from local_cloud.sagemaker.invocation_metrics import InvocationMetrics
from local_cloud.sagemaker.registry import ModelRegistry
from local_cloud.sagemaker.runtime import Answer, Runtime
from local_cloud.sagemaker.store import Kind, Store
from local_cloud.sagemaker.tags import Tags
from local_cloud.sagemaker.training import TrainingJobs
from local_cloud.sagemaker.transform import TransformJobs
from local_cloud.sagemaker.tuning import TuningJobs
from local_cloud.sagemaker.validation import checked

__all__ = ["LogStream", "S3Client", "SageMakerService", "ServiceConfig", "ServiceError"]

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
# Operations that AWS does not have, for tests of what it may do at any time -> their only member.
FAULTS: Final[Mapping[str, str]] = {
    "LocalRefuseCapacity": "Jobs (a number)",
    "LocalInterruptTrainingJob": "TrainingJobName (a string)",
}
_DELETIONS = {
    "DeleteTrainingJob": (Kind.TRAINING_JOB, "TrainingJobName"),
    "DeleteHyperParameterTuningJob": (Kind.TUNING_JOB, "HyperParameterTuningJobName"),
    "DeleteModel": (Kind.MODEL, "ModelName"),
    "DeleteEndpointConfig": (Kind.ENDPOINT_CONFIG, "EndpointConfigName"),
    "DeleteEndpoint": (Kind.ENDPOINT, "EndpointName"),
    "DeleteModelPackageGroup": (Kind.MODEL_PACKAGE_GROUP, "ModelPackageGroupName"),
}


class SageMakerService:
    """SageMaker's control plane and runtime; every method may be called from any thread, and may block."""

    def __init__(self, config: ServiceConfig) -> None:
        """Prepare; nothing runs before ``start``."""
        self._config = config
        self._store = Store(config.state_dir / "records")
        self._jobs = TrainingJobs(config, self._store)
        self._tuning = TuningJobs(config, self._store, self._jobs)
        self._models = Models(config, self._store)
        self._configs = EndpointConfigs(config, self._store)
        self._transforms = TransformJobs(config, self._store)
        self._registry = ModelRegistry(config, self._store)
        self._endpoints = Endpoints(config, self._store)
        self._metrics = InvocationMetrics(config.put_metrics, config.metrics_seconds)
        self._capture = DataCapture(config)
        self._runtime = Runtime(config, self._endpoints, self._metrics, self._capture)
        self._tags = Tags(self._store)
        self._operations = self._table()

    def start(self) -> None:
        """Restore the state; jobs that ran at a crash become Failed, endpoints in service are started again.

        Returns before the endpoints' servers are up: until then their status is SystemUpdating.
        """
        self._store.load()
        self._tuning.restore()
        self._jobs.restore()
        self._transforms.restore()
        self._metrics.start()
        self._capture.start()
        self._endpoints.restore()

    def stop(self) -> None:
        """End every process that was started; the state is on disk at any time. S3 must answer until this returns."""
        tuning_threads = self._tuning.end_all()
        self._jobs.shut_down()
        self._transforms.shut_down()
        for thread in tuning_threads:
            thread.join()
        self._endpoints.shut_down()
        self._capture.stop()
        self._metrics.stop()

    def handle(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one control plane operation, for example ``handle("DescribeEndpoint", {"EndpointName": "a"})``.

        Args:
            operation: The name behind ``SageMaker.`` in X-Amz-Target.
            request: The request's JSON; timestamps as epoch seconds or datetimes.

        Returns:
            The response with timestamps as aware datetimes; ``wire.dumps`` makes the JSON of the wire of it.

        Raises:
            ServiceError: the request is refused.
        """
        if operation in FAULTS:
            return self._fault(operation, request)
        known = checked(operation, request)
        work = self._operations.get(operation)
        if work is None:
            raise unknown_operation(operation)
        response = work(known)
        self._keep_tags(operation, known, response)
        return response

    def invoke_endpoint(self, name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send ``body`` to an endpoint's server; errors come back as a response too, never as an exception.

        Args:
            name: Endpoint name.
            body: The request's body, at most 25 MB as on AWS.
            headers: The client's headers (Content-Type, Accept, X-Amzn-SageMaker-*), in any case.

        Returns:
            Status, headers and body as the SageMaker runtime answers: the model's own with status 200, or an error
            with ``x-amzn-errortype`` (a model's error is ModelError, 424).
        """
        return self._runtime.invoke(name, body, headers)

    def interrupt_training_job(self, name: str) -> None:
        """Take the spot instance away from a running job, as AWS may; the job starts anew from its checkpoints.

        Raises:
            ServiceError: the job is unknown, has ended, or does not run on spot instances.
        """
        self._jobs.interrupt(name)

    def refuse_capacity(self, jobs: int) -> None:
        """Find no instance for the next ``jobs`` training jobs: they fail with AWS's CapacityError."""
        self._jobs.refuse_capacity(jobs)

    def _fault(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what AWS may do at any time, because a test asks for it."""
        match (operation, dict(request)):
            case ("LocalRefuseCapacity", {"Jobs": int(jobs)}):
                self.refuse_capacity(jobs)
            case ("LocalInterruptTrainingJob", {"TrainingJobName": str(name)}):
                self.interrupt_training_job(name)
            case _:
                raise validation(f"{operation} takes {FAULTS[operation]}.")
        return {}

    def _keep_tags(self, operation: str, request: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        """Tags given on creation, and those of what is gone."""
        if operation.startswith("Create") and request.get("Tags"):
            arn = next(value for member, value in response.items() if member.endswith("Arn"))
            self._tags.add({"ResourceArn": arn, "Tags": request["Tags"]})
        elif operation in _DELETIONS:
            kind, member = _DELETIONS[operation]
            self._tags.forget(self._config.arn(kind, request[member]))

    def _table(self) -> dict[str, Operation]:
        jobs, tuning, models = self._jobs, self._tuning, self._models
        configs, endpoints, tags, registry = self._configs, self._endpoints, self._tags, self._registry
        transforms = self._transforms
        return {
            "CreateTrainingJob": jobs.create,
            "DescribeTrainingJob": jobs.describe,
            "StopTrainingJob": jobs.stop,
            "DeleteTrainingJob": jobs.delete,
            "ListTrainingJobs": jobs.list_jobs,
            "CreateHyperParameterTuningJob": tuning.create,
            "DescribeHyperParameterTuningJob": tuning.describe,
            "StopHyperParameterTuningJob": tuning.stop,
            "DeleteHyperParameterTuningJob": tuning.delete,
            "ListHyperParameterTuningJobs": tuning.list_jobs,
            "ListTrainingJobsForHyperParameterTuningJob": tuning.list_trials,
            "CreateTransformJob": transforms.create,
            "DescribeTransformJob": transforms.describe,
            "StopTransformJob": transforms.stop,
            "ListTransformJobs": transforms.list_jobs,
            "CreateModel": models.create,
            "DescribeModel": models.describe,
            "DeleteModel": models.delete,
            "ListModels": models.list_models,
            "CreateEndpointConfig": configs.create,
            "DescribeEndpointConfig": configs.describe,
            "DeleteEndpointConfig": configs.delete,
            "ListEndpointConfigs": configs.list_configs,
            "CreateEndpoint": endpoints.create,
            "DescribeEndpoint": endpoints.describe,
            "UpdateEndpoint": endpoints.update,
            "UpdateEndpointWeightsAndCapacities": endpoints.resize,
            "DeleteEndpoint": endpoints.delete,
            "ListEndpoints": endpoints.list_endpoints,
            "CreateModelPackageGroup": registry.create_group,
            "DescribeModelPackageGroup": registry.describe_group,
            "ListModelPackageGroups": registry.list_groups,
            "DeleteModelPackageGroup": registry.delete_group,
            "CreateModelPackage": registry.create,
            "DescribeModelPackage": registry.describe,
            "UpdateModelPackage": registry.update,
            "ListModelPackages": registry.list_packages,
            "DeleteModelPackage": registry.delete,
            "AddTags": tags.add,
            "ListTags": tags.list_tags,
            "DeleteTags": tags.delete,
        }
