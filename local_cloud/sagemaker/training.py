"""Training jobs: their operations, and the threads that run them."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.sagemaker import warm_pools
from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import ServiceError, in_use, validation
from local_cloud.sagemaker.job_status import TERMINAL, Ending, JobControl, JobStatus, enter_stage, failed
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.processes import end_orphans
from local_cloud.sagemaker.running import RunningJobs
from local_cloud.sagemaker.store import Kind, Record, Store, remove_folder
from local_cloud.sagemaker.training_request import check_job, described
from local_cloud.sagemaker.training_run import TrainingRun
from local_cloud.sagemaker.wire import now

_NOT_FOUND = "Requested resource not found."
_CRASHED = "InternalServerError: the local SageMaker ended while the job ran"
_LISTING = Listing(
    "TrainingJobSummaries",
    "TrainingJobName",
    frozenset(
        {
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
            "SecondaryStatus",
        }
    ),
    status="TrainingJobStatus",
    ascending=True,
)


class TrainingJobs:
    """All training jobs, those of tuning jobs included."""

    def __init__(self, config: ServiceConfig, store: Store) -> None:
        """Serve the records of ``store``."""
        self._config = config
        self._store = store
        self._running = RunningJobs("training job")
        self._lock = threading.Lock()
        self._refuse = 0

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob."""
        return {"TrainingJobArn": self.launch(request)}

    def launch(
        self,
        request: Mapping[str, Any],
        shown: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        told: Callable[[str, float], None] | None = None,
    ) -> str:
        """Start a job and return its ARN; ``shown`` and what follows are what a tuning job adds to a trial."""
        check_job(request)
        name = request["TrainingJobName"]
        arn = self._config.arn("training-job", name)
        self._config.credentials_for(request["RoleArn"], name)
        record = Record(described(request, arn) | dict(shown or {}))
        if not self._store.add(Kind.TRAINING_JOB, name, record):
            raise in_use(
                "Training job names must be unique within an AWS account and region, and a training job with this "
                f"name already exists ({arn})"
            )
        self._take_warm_instance(name)
        control = JobControl()
        run = TrainingRun(
            self._config,
            JobStatus(self._store, name),
            control,
            environment=environment or {},
            told=told,
            refused=self._next_is_refused(),
        )
        self._running.start(name, control, run.run)
        return arn

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        shown = self._get(request["TrainingJobName"]).shown
        pool = warm_pools.status_at(shown, now())
        return shown if pool is None else {**shown, "WarmPoolStatus": pool}

    def list_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs."""
        return _LISTING.answer([record.shown for record in self._store.all(Kind.TRAINING_JOB)], request)

    def stop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopTrainingJob."""
        name = request["TrainingJobName"]
        status = self._get(name).shown["TrainingJobStatus"]
        if status in TERMINAL or not self.end(name):
            status = self._get(name).shown["TrainingJobStatus"]
            raise validation(f"The request was rejected because the training job is in status {status}.")
        return {}

    def end(self, name: str) -> bool:
        """Stop a job as StopTrainingJob does; False if it has ended already."""
        running = self._running.get(name)
        if running is None:
            return False
        with self._store.edit(Kind.TRAINING_JOB, name) as record:
            if record.shown["TrainingJobStatus"] in TERMINAL:
                return False
            if record.shown["TrainingJobStatus"] == "InProgress":
                enter_stage(record.shown, "Stopping", "Stopping the training job")
                record.shown["TrainingJobStatus"] = "Stopping"
        running.control.end(Ending.STOPPED)
        return True

    def cut(self, name: str) -> None:
        """End a job because the service ends."""
        running = self._running.get(name)
        if running is not None:
            running.control.end(Ending.SHUTDOWN)

    def join(self, name: str) -> None:
        """Wait until a job has ended."""
        running = self._running.get(name)
        if running is not None:
            running.thread.join()

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob."""
        name = request["TrainingJobName"]
        record = self._store.get(Kind.TRAINING_JOB, name)
        if record is None:
            raise ServiceError("ResourceNotFound", _NOT_FOUND)
        if record.shown["TrainingJobStatus"] not in TERMINAL:
            raise in_use(f"Training job {name} is in status {record.shown['TrainingJobStatus']} and cannot be deleted.")
        self._store.remove(Kind.TRAINING_JOB, name)
        return {}

    def refuse_capacity(self, jobs: int) -> None:
        """Find no instance for the next ``jobs`` jobs."""
        with self._lock:
            self._refuse = jobs

    def interrupt(self, name: str) -> None:
        """Take the spot instance away from a running job.

        Raises:
            ServiceError: the job is unknown, has ended, or does not run on spot instances.
        """
        job = self._get(name).shown
        running = self._running.get(name)
        if running is None or job["TrainingJobStatus"] != "InProgress":
            raise validation(f"Training job {name} is in status {job['TrainingJobStatus']}: nothing to interrupt.")
        if not job.get("EnableManagedSpotTraining"):
            raise validation(f"Training job {name} does not use spot instances (EnableManagedSpotTraining).")
        running.control.end(Ending.INTERRUPTED)

    def restore(self) -> None:
        """After a crash: end what is left of its processes, and fail the jobs that ran."""
        for record in self._store.all(Kind.TRAINING_JOB):
            if record.shown["TrainingJobStatus"] in TERMINAL:
                continue
            if "process" in record.private:
                end_orphans(record.private["process"], self._config.shutdown_grace_seconds)
            JobStatus(self._store, record.shown["TrainingJobName"]).finish(failed(_CRASHED))
        remove_folder(self._config.state_dir / "jobs")

    def shut_down(self) -> None:
        """End every job and wait for their threads."""
        for thread in self._running.end_all():
            thread.join()

    def _next_is_refused(self) -> bool:
        with self._lock:
            refused = self._refuse > 0
            self._refuse -= refused
            return refused

    def _take_warm_instance(self, name: str) -> None:
        """Note with an earlier job that its instance is taken over."""
        moment = now()
        with self._lock:
            job = self._get(name).shown
            for record in self._store.all(Kind.TRAINING_JOB):
                if not warm_pools.takes_over(job, record.shown, moment):
                    continue
                with self._store.edit(Kind.TRAINING_JOB, record.shown["TrainingJobName"]) as earlier:
                    status = warm_pools.status_at(earlier.shown, moment) or {}
                    earlier.shown["WarmPoolStatus"] = {**status, "Status": "Reused", "ReusedByJob": name}
                return

    def _get(self, name: str) -> Record:
        record = self._store.get(Kind.TRAINING_JOB, name)
        if record is None:
            raise validation(_NOT_FOUND)
        return record
