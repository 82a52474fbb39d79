"""Hyperparameter tuning jobs: their operations, and the threads that run them."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.errors import ServiceError, in_use, validation
from local_cloud.sagemaker.hyperband import hyperband_problems
from local_cloud.sagemaker.job_status import TERMINAL, Ending, JobControl
from local_cloud.sagemaker.listing import Listing
from local_cloud.sagemaker.running import RunningJobs
from local_cloud.sagemaker.search import parameters
from local_cloud.sagemaker.store import Kind, Record, Store
from local_cloud.sagemaker.training import TrainingJobs
from local_cloud.sagemaker.training_request import check_job
from local_cloud.sagemaker.trials import METRIC, best, counters, summaries
from local_cloud.sagemaker.tuning_run import TuningRun, trial_request
from local_cloud.sagemaker.wire import now

_NOT_FOUND = "Requested resource not found."
_STATUS = "HyperParameterTuningJobStatus"
_LISTING = Listing(
    "HyperParameterTuningJobSummaries",
    "HyperParameterTuningJobName",
    frozenset(
        {
            "HyperParameterTuningJobName",
            "HyperParameterTuningJobArn",
            _STATUS,
            "Strategy",
            "CreationTime",
            "HyperParameterTuningEndTime",
            "LastModifiedTime",
            "TrainingJobStatusCounters",
            "ObjectiveStatusCounters",
            "ResourceLimits",
        }
    ),
    status=_STATUS,
    sort_by="Name",
    ascending=True,
)


class TuningJobs:
    """All hyperparameter tuning jobs."""

    def __init__(self, config: ServiceConfig, store: Store, jobs: TrainingJobs) -> None:
        """Serve the records of ``store``; trials are training jobs of ``jobs``."""
        self._config = config
        self._store = store
        self._jobs = jobs
        self._running = RunningJobs("tuning job")

    def create(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateHyperParameterTuningJob."""
        problems = list(_problems(request))
        if problems:
            raise validation(" ".join(problems))
        name = request["HyperParameterTuningJobName"]
        arn = self._config.arn("hyper-parameter-tuning-job", name)
        tuning, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
        check_job(trial_request(definition, tuning, f"{name}-001-00000000", {}))
        self._config.credentials_for(definition["RoleArn"], name)
        moment = now()
        shown = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobArn": arn,
            "HyperParameterTuningJobConfig": tuning,
            "TrainingJobDefinition": definition,
            _STATUS: "InProgress",
            "CreationTime": moment,
            "LastModifiedTime": moment,
        }
        if not self._store.add(Kind.TUNING_JOB, name, Record(shown, {"trials": []})):
            raise in_use(f"A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.")
        control = JobControl()
        run = TuningRun(self._config, self._store, self._jobs, name, control)
        self._running.start(name, control, run.run)
        return {"HyperParameterTuningJobArn": arn}

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob."""
        return self._shown(self._get(request["HyperParameterTuningJobName"]))

    def list_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListHyperParameterTuningJobs."""
        entries = []
        for record in self._store.all(Kind.TUNING_JOB):
            config = record.shown["HyperParameterTuningJobConfig"]
            extra = {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
            entries.append(self._shown(record) | extra)
        return _LISTING.answer(entries, request)

    def list_trials(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobsForHyperParameterTuningJob."""
        trials = summaries(self._store, self._get(request["HyperParameterTuningJobName"]))
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            trials = [trial for trial in trials if METRIC in trial]
        members = frozenset().union(*trials)
        listing = Listing(
            "TrainingJobSummaries", "TrainingJobName", members, "TrainingJobStatus", sort_by="Name", ascending=True
        )
        return listing.answer(trials, request)

    def stop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopHyperParameterTuningJob."""
        name = request["HyperParameterTuningJobName"]
        self._get(name)
        running = self._running.get(name)
        with self._store.edit(Kind.TUNING_JOB, name) as record:
            status = record.shown[_STATUS]
            if status in TERMINAL or running is None:
                raise validation(
                    f"The request was rejected because the hyperparameter tuning job is in status {status}."
                )
            record.shown |= {_STATUS: "Stopping", "LastModifiedTime": now()}
        running.control.end(Ending.STOPPED)
        return {}

    def delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteHyperParameterTuningJob; its trials go with it."""
        name = request["HyperParameterTuningJobName"]
        record = self._store.get(Kind.TUNING_JOB, name)
        if record is None:
            raise ServiceError("ResourceNotFound", _NOT_FOUND)
        if record.shown[_STATUS] not in TERMINAL:
            raise in_use(f"Hyperparameter tuning job {name} is in status {record.shown[_STATUS]}.")
        for trial in record.private["trials"]:
            self._store.remove(Kind.TRAINING_JOB, trial["name"])
        self._store.remove(Kind.TUNING_JOB, name)
        return {}

    def restore(self) -> None:
        """After a crash: fail the tuning jobs that ran."""
        for name in self._store.names(Kind.TUNING_JOB):
            with self._store.edit(Kind.TUNING_JOB, name) as record:
                if record.shown[_STATUS] not in TERMINAL:
                    record.shown |= {
                        _STATUS: "Failed",
                        "FailureReason": "InternalServerError: the local SageMaker ended while the job ran",
                        "HyperParameterTuningEndTime": now(),
                        "LastModifiedTime": now(),
                    }

    def end_all(self) -> list[threading.Thread]:
        """Start no more trials; return the threads to wait for once the trials have ended."""
        return self._running.end_all()

    def _get(self, name: str) -> Record:
        record = self._store.get(Kind.TUNING_JOB, name)
        if record is None:
            raise ServiceError("ResourceNotFound", _NOT_FOUND)
        return record

    def _shown(self, record: Record) -> dict[str, Any]:
        trials = summaries(self._store, record)
        winner = best(trials)
        return record.shown | counters(trials) | ({"BestTrainingJob": winner} if winner else {})


def _problems(request: Mapping[str, Any]) -> Iterator[str]:
    for member in ("TrainingJobDefinitions", "WarmStartConfig", "Autotune"):
        if member in request:
            yield f"{member} is offered on AWS only."
    tuning = request["HyperParameterTuningJobConfig"]
    definition = request.get("TrainingJobDefinition")
    if tuning["Strategy"] == "Grid":
        yield "Strategy Grid is offered on AWS only: use Bayesian, Random or Hyperband."
    yield from hyperband_problems(request)
    if "MaxNumberOfTrainingJobs" not in tuning["ResourceLimits"]:
        yield "ResourceLimits.MaxNumberOfTrainingJobs is required."
    objective = tuning.get("HyperParameterTuningJobObjective")
    if objective is None or definition is None:
        yield "HyperParameterTuningJobObjective and TrainingJobDefinition are required."
        return
    metrics = [entry["Name"] for entry in definition["AlgorithmSpecification"].get("MetricDefinitions", [])]
    if objective["MetricName"] not in metrics:
        yield (
            f"The objective metric {objective['MetricName']!r} is none of AlgorithmSpecification.MetricDefinitions: "
            f"{', '.join(metrics) or 'none'}."
        )
    tuned = {parameter.name for parameter in parameters(tuning.get("ParameterRanges", {}))}
    both = sorted(tuned & set(definition.get("StaticHyperParameters", {})))
    if both:
        yield f"Hyperparameters both static and tuned: {', '.join(both)}."
