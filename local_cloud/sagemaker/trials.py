"""The trials of a tuning job as Describe and List show them: all of it follows from their training jobs."""

from collections.abc import Iterable, Mapping
from typing import Any

from local_cloud.sagemaker.job_status import TERMINAL
from local_cloud.sagemaker.store import Kind, Record, Store

_FROM_JOB = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "FailureReason",
)
_COUNTED_AS = {"Completed": "Completed", "InProgress": "InProgress", "Stopping": "InProgress", "Stopped": "Stopped"}
METRIC = "FinalHyperParameterTuningJobObjectiveMetric"


def summaries(store: Store, tuning_job: Record) -> list[dict[str, Any]]:
    """Return a HyperParameterTrainingJobSummary per trial, in the order of their start."""
    objective = tuning_job.shown["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    found = []
    for trial in tuning_job.private["trials"]:
        job = store.get(Kind.TRAINING_JOB, trial["name"])
        if job is not None:
            found.append(_summary(job.shown, trial["hyperparameters"], objective))
    return found


def _summary(job: Mapping[str, Any], tuned: Mapping[str, str], objective: Mapping[str, str]) -> dict[str, Any]:
    summary = {name: job[name] for name in _FROM_JOB if name in job} | {"TunedHyperParameters": dict(tuned)}
    value = objective_of(job, objective["MetricName"])
    if value is not None:
        summary[METRIC] = {"Type": objective["Type"], "MetricName": objective["MetricName"], "Value": value}
    if job["TrainingJobStatus"] not in TERMINAL:
        return summary | {"ObjectiveStatus": "Pending"}
    succeeded = value is not None and job["TrainingJobStatus"] != "Failed"
    return summary | {"ObjectiveStatus": "Succeeded" if succeeded else "Failed"}


def objective_of(job: Mapping[str, Any], metric: str) -> float | None:
    """Return the last value of a training job's objective metric."""
    values = [entry["Value"] for entry in job.get("FinalMetricDataList", []) if entry["MetricName"] == metric]
    return values[-1] if values else None


def best(trials: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the best of the trials that have ended with an objective."""
    ended = [trial for trial in trials if trial["ObjectiveStatus"] == "Succeeded"]
    if not ended:
        return None
    sign = 1 if ended[0][METRIC]["Type"] == "Maximize" else -1
    return max(ended, key=lambda trial: sign * trial[METRIC]["Value"])


def counters(trials: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return TrainingJobStatusCounters and ObjectiveStatusCounters."""
    jobs = {"Completed": 0, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0}
    objectives = {"Succeeded": 0, "Pending": 0, "Failed": 0}
    for trial in trials:
        jobs[_COUNTED_AS.get(trial["TrainingJobStatus"], "NonRetryableError")] += 1
        objectives[trial["ObjectiveStatus"]] += 1
    return {"TrainingJobStatusCounters": jobs, "ObjectiveStatusCounters": objectives}
