"""Transform jobs: their operations, and the threads that run them."""

from collections.abc import Mapping
from typing import Any, Final

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import in_use, validation
from local_cloud.sagemaker.hosting import could_not_find
from local_cloud.sagemaker.job_status import TERMINAL, Ending, JobControl
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.processes import end_orphans
from local_cloud.sagemaker.running import RunningJobs
from local_cloud.sagemaker.store import Kind, Record, Store, remove_folder
from local_cloud.sagemaker.transform_request import check_transform, described
from local_cloud.sagemaker.transform_run import TransformRun
from local_cloud.sagemaker.transform_status import TransformStatus
from local_cloud.sagemaker.validation import members_of

_CRASHED: Final = "InternalServerError: the local SageMaker ended while the job ran"
_LISTING: Final = Listing(
    "TransformJobSummaries",
    "TransformJobName",
    frozenset(
        {
            "TransformJobName",
            "TransformJobArn",
            "CreationTime",
            "TransformEndTime",
            "LastModifiedTime",
            "TransformJobStatus",
            "FailureReason",
        }
    ),
    status="TransformJobStatus",
)


class TransformJobs:
    """All transform jobs."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store
        self._running = RunningJobs("transform job")

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTransformJob."""
        check_transform(request)
        name = request["TransformJobName"]
        model = self._store.get(Kind.MODEL, request["ModelName"])
        if model is None:
            raise could_not_find(self._config, Kind.MODEL, request["ModelName"])
        arn = self._config.arn(Kind.TRANSFORM_JOB, name)
        self._config.credentials_for(model.shown["ExecutionRoleArn"], name)
        if not self._store.add(Kind.TRANSFORM_JOB, name, Record(described(request, arn))):
            raise in_use(
                "Transform job names must be unique within an AWS account and region, and a transform job with this "
                f"name already exists ({arn})"
            )
        control = JobControl()
        run = TransformRun(self._config, TransformStatus(self._store, name), control, model.shown)
        self._running.start(name, control, run.run)
        return {"TransformJobArn": arn}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTransformJob."""
        members = members_of("DescribeTransformJob", "output")
        shown = self._get(request["TransformJobName"]).shown
        return {member: value for member, value in shown.items() if member in members}

    def list_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTransformJobs."""
        return _LISTING.answer([record.shown for record in self._store.all(Kind.TRANSFORM_JOB)], request)

    def stop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopTransformJob."""
        name = request["TransformJobName"]
        self._get(name)
        running = self._running.get(name)
        if running is None or not TransformStatus(self._store, name).stopping():
            status = self._get(name).shown["TransformJobStatus"]
            raise validation(f"The request was rejected because the transform job is in status {status}.")
        running.control.end(Ending.STOPPED)
        return {}

    def restore(self) -> None:
        """After a crash: end what is left of its processes, and fail the jobs that ran."""
        for record in self._store.all(Kind.TRANSFORM_JOB):
            if record.shown["TransformJobStatus"] in TERMINAL:
                continue
            if "process" in record.private:
                end_orphans(record.private["process"], self._config.shutdown_grace_seconds)
            TransformStatus(self._store, record.shown["TransformJobName"]).finish("Failed", _CRASHED)
        remove_folder(self._config.state_dir / "transforms")

    def shut_down(self) -> None:
        """End every job and wait for their threads."""
        for thread in self._running.end_all():
            thread.join()

    def _get(self, name: str) -> Record:
        record = self._store.get(Kind.TRANSFORM_JOB, name)
        if record is None:
            raise validation(f"Could not find requested job with name: {name}")
        return record
