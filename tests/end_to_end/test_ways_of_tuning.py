"""The tuning's other ways, end to end: all trials in one job, and SageMaker's tuner with Hyperband."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from contract.trials import read_trial_line
from tests.end_to_end.checkout import copy_checkout
from tests.end_to_end.local_stage import LocalStage, add_stage, running_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2000)]

TRIALS = 5
# One execution takes about a minute; on a busy machine, as long as several of them.
LONG = 900.0
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStage]:
    """A stage whose trials run in one job, and in the same cloud one whose tuner is Hyperband."""
    checkout = copy_checkout(tmp_path_factory.mktemp("tuning") / "pedigree")
    add_stage(checkout, "single", tuning={"mode": "single_job"})
    add_stage(checkout, "bands", tuning={"strategy": "hyperband"})
    with running_stage(checkout, "single") as running:
        yield running
    assert not checkout.processes()


@pytest.fixture(scope="module")
def bands(single: LocalStage) -> LocalStage:
    found = LocalStage(single.checkout, "bands")
    found.pedigree("deploy")
    found.variables = single.checkout.variables("--stage", "bands")
    return found


def tuned(stage: LocalStage, photos: Path) -> dict[str, Any]:
    """Run the whole job on a stage and return its tuning.json."""
    given = {"source": stage.upload(photos), "trials": TRIALS, "epochs": 0, "seed": 3}
    execution = stage.wait(stage.start("tuned", **given), LONG)
    assert execution["status"] == "SUCCEEDED", execution
    listed = stage.client("s3").list_objects_v2(Bucket=stage.bucket, Prefix="tuning/")["Contents"]
    (key,) = [one["Key"] for one in listed if one["Key"].endswith("tuning.json") and "/output/" not in one["Key"]]
    found: dict[str, Any] = json.loads(stage.client("s3").get_object(Bucket=stage.bucket, Key=key)["Body"].read())
    assert json.loads(execution["output"])["hyperparameters"] == found["hyperparameters"]
    return found


@pytest.fixture(scope="module")
def swept(single: LocalStage, photos: Path) -> dict[str, Any]:
    return tuned(single, photos)


def test_one_job_runs_all_trials_and_says_how_each_ended(single: LocalStage, swept: dict[str, Any]) -> None:
    assert single.client("sagemaker").list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"] == []
    assert len(swept["trials"]) == TRIALS
    told = [found for line in log_of(single, swept["tuning_job_name"]) if (found := read_trial_line(line))]
    assert [trial.as_dict() for trial, _ in told] == swept["trials"]


def test_a_job_of_its_own_gives_a_trial_the_same_numbers(single: LocalStage, swept: dict[str, Any]) -> None:
    sagemaker = single.client("sagemaker")
    job = sagemaker.describe_training_job(TrainingJobName=swept["tuning_job_name"])
    finished = [trial for trial in swept["trials"] if trial["status"] == "Completed"]
    assert len(finished) >= 3
    for trial in finished[:3]:
        request = one_trial(job, f"{swept['tuning_job_name']}-{trial['name']}", trial["hyperparameters"])
        sagemaker.create_training_job(**request)
        metrics = final_metrics(single, request["TrainingJobName"])
        # A job prints six decimals.
        assert metrics["final:valid_accuracy"] == pytest.approx(trial["objective"], abs=5e-7)
        assert metrics["final:valid_loss"] == pytest.approx(trial["loss"], abs=5e-7)


def one_trial(sweep: Mapping[str, Any], name: str, point: Mapping[str, str]) -> dict[str, Any]:
    """Return the request of a job that tries one point as the sweep did, with its features and its seed."""
    kept = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig")
    given = {name: value for name, value in sweep["HyperParameters"].items() if name.startswith("sagemaker_")}
    given |= {name: sweep["HyperParameters"][name] for name in ("seed", "objective")}
    specification = sweep["AlgorithmSpecification"]
    return {
        **{member: sweep[member] for member in kept},
        "AlgorithmSpecification": {
            name: value for name, value in specification.items() if name != "EnableSageMakerMetricsTimeSeries"
        },
        "StoppingCondition": sweep["StoppingCondition"],
        "TrainingJobName": name,
        "HyperParameters": given | {"sagemaker_program": "training/hpo.py"} | dict(point),
    }


def final_metrics(stage: LocalStage, name: str) -> dict[str, float]:
    deadline = time.monotonic() + 120
    while True:
        job = stage.client("sagemaker").describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] == "Completed":
            return {entry["MetricName"]: entry["Value"] for entry in job["FinalMetricDataList"]}
        assert job["TrainingJobStatus"] == "InProgress", job
        assert time.monotonic() < deadline
        time.sleep(0.2)


def log_of(stage: LocalStage, job: str) -> list[str]:
    logs = stage.client("logs")
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    return [
        event["message"]
        for stream in streams
        for event in logs.get_log_events(
            logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True
        )["events"]
    ]


def test_a_killed_sweep_is_named_and_the_next_execution_sweeps_again(single: LocalStage, photos: Path) -> None:
    given = {"source": single.upload(photos), "trials": TRIALS, "epochs": 0, "seed": 4}
    arn = single.start("killed", **given)
    sweeping(single).kill()
    execution = single.wait(arn)
    assert (execution["status"], execution["error"]) == ("FAILED", "Pedigree.Tune")
    assert execution["cause"].startswith("Tune: AlgorithmError: ")
    assert "SIGKILL" in execution["cause"]
    again = single.wait(single.start("again", **given), LONG)
    assert again["status"] == "SUCCEEDED", again


def sweeping(stage: LocalStage) -> psutil.Process:
    """Wait for a sweep that has begun and return its process."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        for process in stage.checkout.processes():
            if any(part.endswith("training/sweep.py") for part in process.info["cmdline"]):  # it may have ended since
                return process
        time.sleep(0.02)
    raise AssertionError("no sweep has begun")


def test_hyperband_stops_trials_and_the_best_one_is_trained(bands: LocalStage, photos: Path) -> None:
    found = tuned(bands, photos)
    sagemaker = bands.client("sagemaker")
    job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=found["tuning_job_name"])
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["HyperParameterTuningJobConfig"]["Strategy"] == "Hyperband"
    assert job["ObjectiveStatusCounters"] == {"Succeeded": TRIALS, "Pending": 0, "Failed": 0}
    counters = job["TrainingJobStatusCounters"]
    assert counters["Completed"] + counters["Stopped"] == TRIALS
    assert len(found["trials"]) == TRIALS
    assert all(trial["objective"] is not None and trial["loss"] is not None for trial in found["trials"])
