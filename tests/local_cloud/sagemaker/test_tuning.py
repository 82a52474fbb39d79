from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from contract.search_space import parse_hyperparameters, tuner_ranges
from local_cloud.sagemaker.training import TrainingJobs
from tests.local_cloud.sagemaker.stand_in import IMAGE, ROLE, Cloud, MemoryS3, Server, new_cloud, wait_for, write_image

# The nearer lr is to 0.01, the better.
OBJECTIVE = "print('accuracy=%f;' % (1 - abs(float(hyperparameters['lr']) - 0.01)))"


def create(cloud: Cloud, name: str, script: str, **changes: Any) -> None:
    tuning: dict[str, Any] = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 4, "MaxParallelTrainingJobs": 4},
        "ParameterRanges": tuner_ranges(),
        **changes,
    }
    cloud.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig=tuning,
        TrainingJobDefinition={
            "StaticHyperParameters": {"script": script},
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/tuning"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    )


def describe(cloud: Cloud, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return found


def finished(cloud: Cloud, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        job = describe(cloud, name)
        return job if job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return wait_for(look, 40)


def trials(cloud: Cloud, name: str, **order: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, **order
    )["TrainingJobSummaries"]
    return found


@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_the_best_trial_is_found_and_described(cloud: Cloud, strategy: str) -> None:
    create(cloud, "tune", OBJECTIVE, Strategy=strategy)
    job = finished(cloud, "tune")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    best = job["BestTrainingJob"]
    ordered = trials(cloud, "tune", SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert best["TrainingJobName"] == ordered[0]["TrainingJobName"]
    values = [trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in ordered]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    tuned = best["TunedHyperParameters"]
    assert tuned["batch-size"] in {"16", "64", "256", "1024"}
    assert 0.001 <= parse_hyperparameters(tuned).lr <= 0.1
    training_job = cloud.job(best["TrainingJobName"])
    assert training_job["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert training_job["HyperParameters"]["_tuning_objective_metric"] == "accuracy"
    assert best["TrainingJobName"].startswith("tune-00")


def test_no_more_trials_than_cores_run_at_once_and_they_share_the_cores(cloud: Cloud) -> None:
    script = "print('threads', os.environ['OMP_NUM_THREADS']); time.sleep(0.3)\n" + OBJECTIVE
    create(cloud, "cores", script)
    assert finished(cloud, "cores")["HyperParameterTuningJobStatus"] == "Completed"
    ran = [(trial["CreationTime"], trial["TrainingEndTime"]) for trial in trials(cloud, "cores")]
    most = max(sum(begin <= moment < end for begin, end in ran) for moment, _ in ran)
    assert most == cloud.config.cores == 2
    assert set(cloud.log_of("cores-")) >= {"threads 1"}


def test_a_failed_trial_does_not_fail_the_tuning(cloud: Cloud) -> None:
    create(cloud, "some", "if '-001-' in os.environ['TRAINING_JOB_NAME']: sys.exit('no')\n" + OBJECTIVE)
    job = finished(cloud, "some")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 1}
    assert len(trials(cloud, "some", SortBy="FinalObjectiveMetricValue")) == 3


def test_a_tuning_job_fails_when_all_trials_do(cloud: Cloud) -> None:
    create(cloud, "none", "(base / 'output/failure').write_text('no GPU'); sys.exit(1)")
    job = finished(cloud, "none")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("All training jobs failed. Please take a look at the training jobs failures")
    assert "AlgorithmError: no GPU, exit code: 1" in job["FailureReason"]
    assert "BestTrainingJob" not in job


def test_a_tuning_job_gives_up_after_five_bad_trials(cloud: Cloud) -> None:
    create(cloud, "five", "sys.exit(1)", ResourceLimits={"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 1})
    job = finished(cloud, "five")
    assert job["FailureReason"].startswith("No training job succeeded after 5 attempts.")
    assert len(trials(cloud, "five")) == 5


def test_trials_without_the_objective_are_named_as_the_cause(cloud: Cloud) -> None:
    create(cloud, "silent", "", ResourceLimits={"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2})
    assert finished(cloud, "silent")["FailureReason"].startswith(
        "No objective metrics found after running 2 training jobs."
    )


def test_the_search_ends_when_its_target_is_reached(cloud: Cloud) -> None:
    create(
        cloud,
        "target",
        OBJECTIVE,
        ResourceLimits={"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 1},
        TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.5},
    )
    assert finished(cloud, "target")["HyperParameterTuningJobStatus"] == "Completed"
    assert len(trials(cloud, "target")) == 1


def test_a_stopped_tuning_job_stops_its_trials(cloud: Cloud) -> None:
    create(cloud, "stop", "print('pid', os.getpid(), flush=True); time.sleep(60)")
    wait_for(lambda: len(cloud.log_of("stop-")) == 2)
    cloud.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stop")
    assert finished(cloud, "stop")["HyperParameterTuningJobStatus"] == "Stopped"
    assert {trial["TrainingJobStatus"] for trial in trials(cloud, "stop")} == {"Stopped"}
    assert not any(psutil.pid_exists(int(line.split()[1])) for line in cloud.log_of("stop-"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Strategy": "Grid"}, "Strategy Grid is offered on AWS only"),
        ({"ParameterRanges": {}}, "at least one hyperparameter"),
        ({"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "x"}}, "objective metric 'x' is none"),
        (
            {"ParameterRanges": {"IntegerParameterRanges": [{"Name": "n", "MinValue": "5", "MaxValue": "1"}]}},
            "MinValue 5 must be less than MaxValue 1",
        ),
        (
            {"ParameterRanges": {"CategoricalParameterRanges": [{"Name": "script", "Values": ["a"]}]}},
            "both static and tuned: script",
        ),
        (
            {
                "ParameterRanges": {
                    "ContinuousParameterRanges": [
                        {"Name": "lr", "MinValue": "0", "MaxValue": "1", "ScalingType": "Logarithmic"}
                    ]
                }
            },
            "logarithmic scaling needs MinValue > 0",
        ),
    ],
)
def test_a_search_that_cannot_work_is_refused(cloud: Cloud, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        create(cloud, "refused", "", **changes)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_tuning_jobs_are_listed_and_deleted_with_their_trials(cloud: Cloud) -> None:
    create(cloud, "gone", OBJECTIVE, ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1})
    finished(cloud, "gone")
    (listed,) = cloud.sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert (listed["HyperParameterTuningJobName"], listed["Strategy"]) == ("gone", "Bayesian")
    cloud.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="gone")
    with pytest.raises(ClientError, match="Requested resource not found"):
        describe(cloud, "gone")
    assert cloud.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


@pytest.mark.parametrize("first", ["jobs", "tuning"])
def test_stopping_the_service_ends_a_tuning_job(
    tmp_path: Path, s3: MemoryS3, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    write_image(tmp_path / "bin")
    cloud = new_cloud(tmp_path, s3)
    shut_down = TrainingJobs.shut_down

    def shut_down_late(jobs: TrainingJobs) -> None:
        """Leave it to the tuning job to end its trials."""
        request = {"HyperParameterTuningJobName": "cut"}
        wait_for(
            lambda: (
                cloud.service.handle("DescribeHyperParameterTuningJob", request)["HyperParameterTuningJobStatus"]
                == "Failed"
            )
        )
        shut_down(jobs)

    if first == "tuning":
        monkeypatch.setattr(TrainingJobs, "shut_down", shut_down_late)
    with Server(cloud):
        create(cloud, "cut", "print('started', flush=True); time.sleep(60)")
        wait_for(lambda: len(cloud.log_of("cut-")) == 2)
    again = new_cloud(tmp_path, s3)
    with Server(again):
        job = describe(again, "cut")
        assert job["HyperParameterTuningJobStatus"] == "Failed"
        assert "was stopped while the job ran" in job["FailureReason"]
        assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 2
