"""The jobs behind the steps, read from SageMaker and CloudWatch: the trials, and the final training's epochs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.progress import Training, Trial, epochs_of
from contract.metrics import Reading, read_line

_LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"
_FINAL_STATUSES: Final = ("Completed", "Failed", "Stopped")


class TuningWatch:
    """One tuning job and its trials."""

    def __init__(self, cloud: Cloud, job_name: str) -> None:
        self.job_name = job_name
        self._sagemaker = cloud.client("sagemaker")
        self.planned: int | None = None
        self.trials: tuple[Trial, ...] = ()

    def poll(self) -> None:
        """Read the trials anew."""
        if self.planned is None:
            job = self._sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=self.job_name)
            limits = job["HyperParameterTuningJobConfig"]["ResourceLimits"]
            self.planned = limits.get("MaxNumberOfTrainingJobs")
        answer = self._sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=self.job_name, MaxResults=100, SortBy="CreationTime", SortOrder="Ascending"
        )
        summaries = sorted(
            answer["TrainingJobSummaries"], key=lambda job: (job["CreationTime"], job["TrainingJobName"])
        )
        self.trials = tuple(_trial(number, summary) for number, summary in enumerate(summaries, 1))


def _trial(number: int, summary: Mapping[str, Any]) -> Trial:
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {})
    return Trial(
        number=number,
        name=summary["TrainingJobName"],
        status=summary["TrainingJobStatus"],
        hyperparameters={name: value.strip('"') for name, value in summary["TunedHyperParameters"].items()},
        objective=metric.get("Value"),
    )


class TrainingWatch:
    """One training job and what it logs."""

    def __init__(self, cloud: Cloud, job_name: str) -> None:
        self.job_name = job_name
        self._sagemaker = cloud.client("sagemaker")
        self._logs = cloud.client("logs")
        self._tokens: dict[str, str] = {}
        self._readings: list[tuple[datetime, Reading]] = []
        self._over = False
        self.training = Training(job_name, "Starting")

    def poll(self) -> None:
        """Read the status and the log lines that are new."""
        if self._over:
            return
        job = self._sagemaker.describe_training_job(TrainingJobName=self.job_name)
        # Asked before the log is read: what is said to be over has said everything by then.
        self._over = job["TrainingJobStatus"] in _FINAL_STATUSES
        for stream in self._streams():
            self._read(stream)
        status = job["TrainingJobStatus"] if self._over else job.get("SecondaryStatus", job["TrainingJobStatus"])
        head_epochs, planned = _planned_epochs(job.get("HyperParameters", {}))
        self.training = Training(self.job_name, status, epochs_of(self._readings), head_epochs, planned)

    def _streams(self) -> list[str]:
        try:
            answer = self._logs.describe_log_streams(logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{self.job_name}/")
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []
            raise
        return sorted(stream["logStreamName"] for stream in answer["logStreams"])

    def _read(self, stream: str) -> None:
        while True:
            token = self._tokens.get(stream)
            more = {"nextToken": token} if token else {}
            answer = self._logs.get_log_events(
                logGroupName=_LOG_GROUP, logStreamName=stream, startFromHead=True, **more
            )
            for event in answer["events"]:
                reading = read_line(event["message"])
                if reading is not None:
                    self._readings.append((datetime.fromtimestamp(event["timestamp"] / 1000, UTC), reading))
            self._tokens[stream] = answer["nextForwardToken"]
            if answer["nextForwardToken"] == token:
                return


def _planned_epochs(hyperparameters: Mapping[str, str]) -> tuple[int, int | None]:
    """Return the head's epochs and all epochs: as many again of the whole network, unless asked for otherwise."""
    head = hyperparameters.get("epochs", "").strip('"')
    whole = hyperparameters.get("fine-tune-epochs", head).strip('"')
    if not head.isdecimal() or not whole.isdecimal():
        return 0, None
    return int(head), int(head) + int(whole)
