"""One tuning job: trials side by side until the limits are reached."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from local_cloud.sagemaker.config import ServiceConfig
from local_cloud.sagemaker.early_stopping import MedianRule, NoRule, Rule
from local_cloud.sagemaker.errors import ServiceError
from local_cloud.sagemaker.hyperband import HyperbandRule, resources
from local_cloud.sagemaker.job_status import MAX_FAILURE_REASON, TERMINAL, Ending, JobControl
from local_cloud.sagemaker.s3 import s3_uri
from local_cloud.sagemaker.search import Search
from local_cloud.sagemaker.store import Kind, Record, Store
from local_cloud.sagemaker.training import TrainingJobs
from local_cloud.sagemaker.trials import METRIC, best, summaries
from local_cloud.sagemaker.wire import now

_LOOK_SECONDS = 0.1
# After so many trials without one good, SageMaker gives up.
_ATTEMPTS = 5
# What AWS adds to the hyperparameters of every trial.
OBJECTIVE_PARAMETER = "_tuning_objective_metric"


class TuningRun:
    """Runs the trials of one tuning job."""

    def __init__(self, config: ServiceConfig, store: Store, jobs: TrainingJobs, name: str, control: JobControl) -> None:
        """Prepare the tuning job ``name``, whose record exists."""
        self._config = config
        self._store = store
        self._jobs = jobs
        self._name = name
        self._control = control
        record = self._record()
        self._arn: str = record.shown["HyperParameterTuningJobArn"]
        self._definition: dict[str, Any] = record.shown["TrainingJobDefinition"]
        self._tuning: dict[str, Any] = record.shown["HyperParameterTuningJobConfig"]
        limits = self._tuning["ResourceLimits"]
        self._trials: int = limits["MaxNumberOfTrainingJobs"]
        self._parallel = min(limits["MaxParallelTrainingJobs"], config.cores, self._trials)
        self._deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", float("inf"))
        self._running: set[str] = set()
        self._stopped: set[str] = set()  # early, by the rule
        self._search = Search(name, self._tuning)
        self._objective: str = self._tuning["HyperParameterTuningJobObjective"]["MetricName"]
        self._rule = _rule(self._tuning, self._definition)

    def run(self) -> None:
        """Run the tuning job to its end; whatever goes wrong becomes its FailureReason."""
        try:
            self._search_on()
            status, reason = self._verdict()
        except ServiceError as error:
            status, reason = "Failed", f"ClientError: {error.message}"
        except Exception as error:  # noqa: BLE001 - the end of the thread: a job must never stay InProgress for ever
            status, reason = "Failed", f"InternalServerError: {type(error).__name__}: {error}"
        self._stop_trials()
        with self._store.edit(Kind.TUNING_JOB, self._name) as record:
            moment = now()
            record.shown |= {
                "HyperParameterTuningJobStatus": status,
                "LastModifiedTime": moment,
                "HyperParameterTuningEndTime": moment,
            }
            if reason:
                record.shown["FailureReason"] = reason[:MAX_FAILURE_REASON]

    def _search_on(self) -> None:
        launched = 0
        while True:
            self._learn()
            self._stop_losing_trials()
            if time.monotonic() > self._deadline:
                self._control.end(Ending.MAX_RUNTIME)
            if self._control.ending is not None or self._settled():
                return
            while launched < self._trials and len(self._running) < self._parallel:
                launched += 1
                self._launch(launched)
            if not self._running:
                return
            time.sleep(_LOOK_SECONDS)

    def _launch(self, number: int) -> None:
        trial = f"{self._name}-{number:03d}-{uuid.uuid4().hex[:8]}"
        tuned = self._search.propose(trial)
        with self._store.edit(Kind.TUNING_JOB, self._name) as record:
            record.private["trials"].append({"name": trial, "hyperparameters": tuned})
        # Trials side by side share the cores instead of each starting a thread per core.
        threads = {"OMP_NUM_THREADS": str(max(1, self._config.cores // self._parallel))} if self._parallel > 1 else {}
        request = trial_request(self._definition, self._tuning, trial, tuned)

        def told(metric: str, value: float) -> None:
            if metric == self._objective:
                self._rule.report(trial, value)

        self._rule.begin(trial)
        self._jobs.launch(request, {"TuningJobArn": self._arn}, threads, told)
        self._running.add(trial)

    def _learn(self) -> None:
        for trial in summaries(self._store, self._record()):
            name = trial["TrainingJobName"]
            if name in self._running and trial["TrainingJobStatus"] in TERMINAL:
                self._running.remove(name)
                succeeded = trial["ObjectiveStatus"] == "Succeeded"
                self._search.learn(name, trial[METRIC]["Value"] if succeeded else None)
                if succeeded:
                    self._rule.end(name)

    def _stop_losing_trials(self) -> None:
        for name in self._running:
            if name not in self._stopped and self._rule.losing(name):
                self._stopped.add(name)
                self._jobs.end(name)

    def _settled(self) -> bool:
        """Tell whether more trials make no sense: too many have failed, or the target is reached."""
        trials = [t for t in summaries(self._store, self._record()) if t["TrainingJobStatus"] in TERMINAL]
        winner = best(trials)
        if winner is None:
            return len(trials) >= _ATTEMPTS
        target = self._tuning.get("TuningJobCompletionCriteria", {}).get("TargetObjectiveMetricValue")
        if target is None:
            return False
        value = winner[METRIC]["Value"]
        reached: bool = value >= target if winner[METRIC]["Type"] == "Maximize" else value <= target
        return reached

    def _verdict(self) -> tuple[str, str]:
        match self._control.ending:
            case Ending.SHUTDOWN:
                return "Failed", "InternalServerError: the local SageMaker was stopped while the job ran"
            case Ending.STOPPED | Ending.MAX_RUNTIME:
                return "Stopped", ""
        trials = summaries(self._store, self._record())
        if best(trials) is not None:
            return "Completed", ""
        failures = [trial for trial in trials if trial["TrainingJobStatus"] == "Failed"]
        if not failures:
            return "Failed", (
                f"No objective metrics found after running {len(trials)} training jobs. Please ensure that the custom "
                "algorithm is emitting the objective metric as defined by the regular expression provided."
            )
        begin = (
            f"No training job succeeded after {_ATTEMPTS} attempts."
            if len(trials) >= _ATTEMPTS
            else "All training jobs failed."
        )
        first = failures[0]
        return "Failed", (
            f"{begin} Please take a look at the training jobs failures to get more details. "
            f"{first['TrainingJobName']}: {first['FailureReason']}"
        )

    def _stop_trials(self) -> None:
        # Where the service ends, its trials are cut off as well, whoever is the first to tell them.
        end = self._jobs.cut if self._control.ending is Ending.SHUTDOWN else self._jobs.end
        for trial in self._running:
            end(trial)
        for trial in self._running:
            self._jobs.join(trial)

    def _record(self) -> Record:
        record = self._store.get(Kind.TUNING_JOB, self._name)
        assert record is not None
        return record


def _rule(tuning: Mapping[str, Any], definition: Mapping[str, Any]) -> Rule:
    maximize = tuning["HyperParameterTuningJobObjective"]["Type"] == "Maximize"
    if tuning["Strategy"] == "Hyperband":
        return HyperbandRule(resources(tuning, definition), maximize=maximize)
    if tuning.get("TrainingJobEarlyStoppingType", "Off") == "Auto":
        return MedianRule(maximize=maximize)
    return NoRule()


def trial_request(
    definition: Mapping[str, Any], tuning: Mapping[str, Any], trial: str, tuned: Mapping[str, str]
) -> dict[str, Any]:
    """Return the CreateTrainingJob request of one trial."""
    left_out = {"DefinitionName", "TuningObjective", "HyperParameterRanges", "StaticHyperParameters"}
    request = {name: value for name, value in definition.items() if name not in left_out}
    resources = request.pop("HyperParameterTuningResourceConfig", None)
    if resources is not None:
        known = {"InstanceType", "InstanceCount", "VolumeSizeInGB"}
        request["ResourceConfig"] = {name: value for name, value in resources.items() if name in known}
    if "CheckpointConfig" in request:
        prefix = s3_uri(request["CheckpointConfig"]["S3Uri"]) / trial
        request["CheckpointConfig"] = {**request["CheckpointConfig"], "S3Uri": str(prefix)}
    metric = tuning["HyperParameterTuningJobObjective"]["MetricName"]
    static = definition.get("StaticHyperParameters", {})
    return {
        **request,
        "TrainingJobName": trial,
        "HyperParameters": {**static, **tuned, OBJECTIVE_PARAMETER: metric},
    }
