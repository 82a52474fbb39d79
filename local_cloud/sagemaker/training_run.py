"""One training job from its first status to its last."""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.archives import pack
from local_cloud.sagemaker.checkpoints import CheckpointSync
from local_cloud.sagemaker.config import LogStream, ServiceConfig
from local_cloud.sagemaker.errors import JobError, ServiceError
from local_cloud.sagemaker.job_folder import JobFolder
from local_cloud.sagemaker.job_status import Ending, JobControl, JobStatus, Outcome, failed
from local_cloud.sagemaker.metrics import MetricReader
from local_cloud.sagemaker.processes import ProcessGroup
from local_cloud.sagemaker.roles import aws_environment, image_folder
from local_cloud.sagemaker.s3 import S3_ERRORS, RoleSession, download_prefix, s3_uri, upload_file, upload_tree
from local_cloud.sagemaker.wire import now

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_INTERRUPTED = Outcome("InProgress", "Interrupted", "The managed spot instance was taken away")
_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
# Between two looks at a running process: short enough that a job of a second is not rounded up to two.
_LOOK_SECONDS = 0.1


class TrainingRun:
    """Runs a job's attempts: one, and another after every spot interruption."""

    def __init__(
        self,
        config: ServiceConfig,
        status: JobStatus,
        control: JobControl,
        *,
        environment: Mapping[str, str],
        told: Callable[[str, float], None] | None = None,
        refused: bool = False,
    ) -> None:
        """Prepare the job of ``status``.

        Args:
            config: What the service needs.
            status: Where the job is written down.
            control: How others end it.
            environment: What its container gets besides; the request may override it.
            told: Hears of each metric's values as they come.
            refused: There is no instance for it, and it fails.
        """
        self._config = config
        self._status = status
        self._control = control
        self._extra = environment
        self._refused = refused
        self._job: dict[str, Any] = status.record().shown
        name = self._job["TrainingJobName"]
        self._name: str = name
        self._folder = JobFolder(config.state_dir / "jobs" / name)
        self._session = RoleSession(config, self._job["RoleArn"], name)
        self._metrics = MetricReader(self._job["AlgorithmSpecification"].get("MetricDefinitions", []), told)
        self._reported: list[dict[str, Any]] = []

    def run(self) -> None:
        """Run the job to its end; whatever goes wrong becomes its FailureReason."""
        try:
            outcome = _INTERRUPTED
            while outcome is _INTERRUPTED:
                outcome = self._attempt()
        except JobError as error:
            outcome = failed(str(error))
        except ServiceError as error:
            outcome = failed(f"ClientError: {error.message}")
        except S3_ERRORS as error:
            outcome = failed(f"ClientError: {error}")
        except Exception as error:  # noqa: BLE001 - the end of the thread: a job must never stay InProgress for ever
            outcome = failed(f"InternalServerError: {type(error).__name__}: {error}")
        if self._control.ending is Ending.SHUTDOWN and outcome.status != "Completed":
            outcome = failed("InternalServerError: the local SageMaker was stopped while the job ran")
        self._folder.remove()
        self._status.finish(outcome)

    def _attempt(self) -> Outcome:
        self._control.resume()
        self._status.enter("Starting", "Preparing the instances for training")
        if self._refused:
            raise JobError(_NO_CAPACITY)
        image = image_folder(self._config, self._job["AlgorithmSpecification"]["TrainingImage"], self._job["RoleArn"])
        log = self._config.logs(self._job["RoleArn"], LOG_GROUP, f"{self._name}/algo-1-{int(time.time())}")
        with contextlib.closing(log):  # the last line is stored before the job is seen to have ended
            return self._run_container(image, log)

    def _run_container(self, image: Path, log: LogStream) -> Outcome:
        self._folder.make()
        self._folder.write_config(self._job)
        self._status.enter("Downloading", "Downloading input data")
        if "TrainingStartTime" not in self._status.record().shown:
            self._status.show(TrainingStartTime=now())
        self._download()
        checkpoints = self._checkpoints(log)
        if checkpoints:
            checkpoints.restore()
        if self._control.ending is not None:
            return self._outcome(None)
        exit_code = self._train(image, log, checkpoints)
        self._report_metrics()
        self._last_checkpoints(checkpoints, log, must_succeed=exit_code == 0)
        return self._outcome(exit_code)

    def _train(self, image: Path, log: LogStream, checkpoints: CheckpointSync | None) -> int:
        self._status.enter("Training", "Training image download completed. Training in progress.")

        def take(line: str) -> None:
            log.write(line)
            self._metrics.read(line)

        with ProcessGroup([str(image / "train")], self._folder.base, self._environment(image), take) as group:
            self._status.keep(process=group.identity)
            if checkpoints:
                checkpoints.start()
            return self._watch(group)

    def _download(self) -> None:
        for channel in self._job.get("InputDataConfig", []):
            prefix = s3_uri(channel["DataSource"]["S3DataSource"]["S3Uri"])
            folder = self._folder.channels / channel["ChannelName"]
            count = download_prefix(self._session.s3(), prefix, folder, lambda: self._control.ending is not None)
            if not count:
                raise JobError(
                    f'ClientError: Data download failed:No S3 objects found under S3 URL "{prefix}" given in input '
                    "data source. Please ensure that the bucket exists in the selected region "
                    f"({self._config.region}), that objects exist under that S3 prefix, and that the role "
                    f'"{self._job["RoleArn"]}" has "s3:ListBucket" permissions on bucket "{prefix.bucket}".'
                )

    def _checkpoints(self, log: LogStream) -> CheckpointSync | None:
        wanted = self._job.get("CheckpointConfig")
        if wanted is None:
            return None
        prefix = s3_uri(wanted["S3Uri"])
        return CheckpointSync(self._folder.checkpoints, prefix, self._session, log, self._config.poll_seconds)

    def _last_checkpoints(self, checkpoints: CheckpointSync | None, log: LogStream, *, must_succeed: bool) -> None:
        """Copy what is left; where the job failed, its own reason is the one that people must see."""
        if checkpoints is None:
            return
        try:
            checkpoints.finish()
        except S3_ERRORS as error:
            if must_succeed:
                raise
            log.write(f"[sagemaker] the last checkpoints were not copied: {error}")

    def _environment(self, image: Path) -> dict[str, str]:
        return aws_environment(
            self._config,
            image,
            {} if self._job["EnableNetworkIsolation"] else self._session.credentials(),
            {
                **self._extra,
                **self._job.get("Environment", {}),
                "SAGEMAKER_BASE_DIR": str(self._folder.base),
                "TRAINING_JOB_NAME": self._name,
                "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
            },
        )

    def _watch(self, group: ProcessGroup) -> int:
        """Wait for the process, end it when its time is up or somebody asks for it; return its exit code."""
        limit = self._job["StoppingCondition"]["MaxRuntimeInSeconds"]
        deadline = time.monotonic() + limit
        next_report = time.monotonic()
        while group.wait(_LOOK_SECONDS) is None:
            if time.monotonic() >= deadline:
                self._control.end(Ending.MAX_RUNTIME)
                self._status.enter("Stopping", f"MaxRuntimeInSeconds ({limit}) is over")
            if self._control.ending is not None:
                return group.end(self._grace(self._control.ending))
            if time.monotonic() >= next_report:
                self._report_metrics()
                next_report = time.monotonic() + self._config.poll_seconds
        return group.finish()

    def _grace(self, ending: Ending) -> float:
        match ending:
            case Ending.SHUTDOWN:
                return self._config.shutdown_grace_seconds
            case Ending.INTERRUPTED:
                return 0.0  # an instance that is taken away asks nobody
            case _:
                return self._config.stop_grace_seconds

    def _report_metrics(self) -> None:
        final = self._metrics.final()
        if final != self._reported:
            self._status.show(FinalMetricDataList=final)
            self._reported = final

    def _outcome(self, exit_code: int | None) -> Outcome:
        """Say how the attempt ended, and upload what it left; None stands for a container that was never started."""
        match self._control.ending:
            case Ending.SHUTDOWN:
                raise JobError("InternalServerError: the local SageMaker was stopped while the job ran")
            case Ending.INTERRUPTED:
                self._status.enter(_INTERRUPTED.secondary, _INTERRUPTED.message)
                return _INTERRUPTED
            case None if exit_code:
                raise self._folder.failure(exit_code)
        if exit_code is not None:
            self._upload()
        match self._control.ending:
            case Ending.MAX_RUNTIME:
                return Outcome("Stopped", "MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds")
            case Ending.STOPPED:
                return Outcome("Stopped", "Stopped", "Training job stopped")
            case _:
                return Outcome("Completed", "Completed", "Training job completed")

    def _upload(self) -> None:
        self._status.enter("Uploading", "Uploading generated training model")
        target = s3_uri(self._job["OutputDataConfig"]["S3OutputPath"]) / self._name / "output"
        client = self._session.s3()
        key = self._job["OutputDataConfig"].get("KmsKeyId")
        if self._job["OutputDataConfig"].get("CompressionType") == "NONE":
            upload_tree(client, self._folder.model, target / "model", key)
            upload_tree(client, self._folder.output_data, target / "data", key)
            return
        archives = {"model": self._folder.model}
        if any(path.is_file() for path in self._folder.output_data.rglob("*")):
            archives["output"] = self._folder.output_data
        for name, content in archives.items():
            packed = self._folder.base / f"{name}.tar.gz"
            pack(content, packed)
            upload_file(client, packed, target / packed.name, key)
