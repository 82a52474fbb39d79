"""The jobs behind the steps, read from SageMaker and CloudWatch: the trials, and the final training's epochs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.progress import Training, Trial, epochs_of
from contract.metrics import FINAL_VALID_ACCURACY, Reading, read_line
from contract.trials import read_trial_line

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
    # Where the loss is the objective, the tuner knows no accuracy.
    is_accuracy = metric.get("MetricName", FINAL_VALID_ACCURACY.name) == FINAL_VALID_ACCURACY.name
    return Trial(
        number=number,
        name=summary["TrainingJobName"],
        status=summary["TrainingJobStatus"],
        hyperparameters={name: value.strip('"') for name, value in summary["TunedHyperParameters"].items()},
        objective=metric.get("Value") if is_accuracy else None,
    )


class _Log:
    """What a training job prints, each line once."""

    def __init__(self, cloud: Cloud, job_name: str) -> None:
        self._logs = cloud.client("logs")
        self._job_name = job_name
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[tuple[datetime, str]]:
        """Return the lines that have not been returned before, and when they were printed."""
        for stream in self._streams():
            yield from self._read(stream)

    def _streams(self) -> list[str]:
        try:
            answer = self._logs.describe_log_streams(logGroupName=_LOG_GROUP, logStreamNamePrefix=f"{self._job_name}/")
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []
            raise
        return sorted(stream["logStreamName"] for stream in answer["logStreams"])

    def _read(self, stream: str) -> Iterator[tuple[datetime, str]]:
        while True:
            token = self._tokens.get(stream)
            more = {"nextToken": token} if token else {}
            answer = self._logs.get_log_events(
                logGroupName=_LOG_GROUP, logStreamName=stream, startFromHead=True, **more
            )
            for event in answer["events"]:
                yield datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"]
            self._tokens[stream] = answer["nextForwardToken"]
            if answer["nextForwardToken"] == token:
                return


class SweepWatch:
    """One job that runs all trials: it says in its log how each ended."""

    def __init__(self, cloud: Cloud, job_name: str) -> None:
        self.job_name = job_name
        self._log = _Log(cloud, job_name)
        self.planned: int | None = None
        self.trials: tuple[Trial, ...] = ()

    def poll(self) -> None:
        """Read the log lines that are new."""
        for _, line in self._log.new_lines():
            found = read_trial_line(line)
            if found is not None:
                result, self.planned = found
                # What a second attempt says replaces what the first one said.
                others = tuple(trial for trial in self.trials if trial.name != result.name)
                number = len(others) + 1
                told = Trial(number, result.name, result.status, result.hyperparameters, result.objective)
                self.trials = (*others, told)


class TrainingWatch:
    """One training job and what it logs."""

    def __init__(self, cloud: Cloud, job_name: str) -> None:
        self.job_name = job_name
        self._sagemaker = cloud.client("sagemaker")
        self._log = _Log(cloud, job_name)
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
        for at, line in self._log.new_lines():
            reading = read_line(line)
            if reading is not None:
                self._readings.append((at, reading))
        status = job["TrainingJobStatus"] if self._over else job.get("SecondaryStatus", job["TrainingJobStatus"])
        head_epochs, planned = _planned_epochs(job.get("HyperParameters", {}))
        self.training = Training(self.job_name, status, epochs_of(self._readings), head_epochs, planned)


def _planned_epochs(hyperparameters: Mapping[str, str]) -> tuple[int, int | None]:
    """Return the head's epochs and all epochs: as many again of the whole network, unless asked for otherwise."""
    head = hyperparameters.get("epochs", "").strip('"')
    whole = hyperparameters.get("fine-tune-epochs", head).strip('"')
    if not head.isdecimal() or not whole.isdecimal():
        return 0, None
    return int(head), int(head) + int(whole)
