"""The tuning: a job per trial or one for all of them, and which trial is the best."""

from typing import Any

import pytest

from contract.search_space import parse_hyperparameters
from infra.settings import Settings, Tuning
from tests.infra.fake_aws import SWEPT, FakeAws
from tests.infra.machine import TaskError
from tests.infra.running import jobs, run

SINGLE = Settings(image="x", tuning=Tuning(mode="single_job"))


def tuner(aws: FakeAws) -> dict[str, Any]:
    """Return the request for SageMaker's tuner."""
    (request,) = aws.requests["createHyperParameterTuningJob"]
    return dict(request)


def chosen(aws: FakeAws, **tuning: str) -> float:
    """Return the learning rate that an execution trains with: 0.02 of t-001, 0.03 of t-002, ..."""
    output = run(aws, settings=Settings(image="x", tuning=Tuning(**tuning))).output  # type: ignore[arg-type]
    return parse_hyperparameters(output["hyperparameters"]).lr


def test_of_trials_with_the_same_accuracy_the_one_with_the_lowest_loss_is_the_best(aws: FakeAws) -> None:
    aws.trials = {"t-001": (0.9, 0.3), "t-002": (0.9, 0.1), "t-003": (0.9, 0.2), "t-004": (0.8, 0.05)}
    assert chosen(aws) == 0.03
    assert aws.calls.count("describeTrainingJob") == 4


def test_the_loss_may_be_the_objective(aws: FakeAws) -> None:
    aws.trials = {"t-001": (0.9, 0.3), "t-002": (0.7, 0.1), "t-003": (0.8, 0.1)}
    assert chosen(aws, objective="loss") == 0.04
    objective = tuner(aws)["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Minimize", "MetricName": "final:valid_loss"}
    assert tuner(aws)["TrainingJobDefinition"]["StaticHyperParameters"]["objective"] == "loss"


def test_a_trial_without_scores_is_listed_and_never_the_best(aws: FakeAws) -> None:
    aws.trials = {"t-001": (None, None), "t-002": (0.5, 0.9)}
    assert chosen(aws) == 0.03
    (record,) = [body for key, body in aws.objects.items() if key.startswith("tuning/")]
    assert [(trial["name"], trial["objective"], trial["loss"]) for trial in record["trials"]] == [
        ("t-001", None, None),
        ("t-002", 0.5, 0.9),
    ]


def test_without_any_scores_the_tuner_s_choice_stands(aws: FakeAws) -> None:
    aws.trials = {"t-005": (None, None)}
    assert chosen(aws) == 0.02


def test_a_hundred_trials_are_asked_within_one_execution(aws: FakeAws) -> None:
    aws.trials = {f"t-{number:03d}": (0.9, 1 - number / 1000) for number in range(100)}
    assert run(aws, {"trials": 100}).status == "SUCCEEDED"


@pytest.mark.parametrize(
    ("strategy", "members"),
    [
        ("bayesian", {"Strategy": "Bayesian", "TrainingJobEarlyStoppingType": "Auto"}),
        ("random", {"Strategy": "Random", "TrainingJobEarlyStoppingType": "Auto"}),
        (
            "hyperband",
            {
                "Strategy": "Hyperband",
                "TrainingJobEarlyStoppingType": "Off",
                "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 10}},
            },
        ),
    ],
)
def test_the_tuner_searches_as_the_settings_say(aws: FakeAws, strategy: str, members: dict[str, Any]) -> None:
    run(aws, settings=Settings(image="x", tuning=Tuning(strategy=strategy)))
    config = tuner(aws)["HyperParameterTuningJobConfig"]
    assert config | members == config
    assert ("StrategyConfig" in config) is (strategy == "hyperband")


def test_one_job_runs_all_trials_where_the_settings_want_it(aws: FakeAws) -> None:
    execution = run(aws, {"trials": 7, "seed": 3}, SINGLE)
    assert execution.status == "SUCCEEDED", execution.cause
    assert jobs(aws) == ["prepare", "features", "tune", "train"]
    assert "createHyperParameterTuningJob" not in aws.calls
    request = aws.requests["createTrainingJob"][2]
    given = request["HyperParameters"]
    assert given["sagemaker_program"] == "training/sweep.py"
    assert (given["trials"], given["seed"], given["objective"]) == ("7", "3", "accuracy")
    assert (given["sampler"], given["stopping"]) == ("spread", "median")
    assert [channel["ChannelName"] for channel in request["InputDataConfig"]] == ["features"]


def test_what_comes_after_one_job_is_as_after_the_tuner(aws: FakeAws) -> None:
    output = run(aws, settings=SINGLE).output
    assert output["hyperparameters"] == SWEPT["hyperparameters"]
    assert output["tuning_job_name"].startswith("pedigree-dev-tune-")
    training = aws.requests["createTrainingJob"][-1]
    assert parse_hyperparameters(training["HyperParameters"]).lr == 0.05
    channels = {c["ChannelName"]: c["DataSource"]["S3DataSource"]["S3Uri"] for c in training["InputDataConfig"]}
    record = aws.objects[channels["tuning"].removeprefix("s3://bucket/")]
    assert record.keys() == {"tuning_job_name", "hyperparameters", "trials", "features_uri"}
    assert record["trials"] == SWEPT["trials"]


@pytest.mark.parametrize(
    ("tuning", "sampler", "stopping"),
    [
        (Tuning(mode="single_job", strategy="random"), "random", "median"),
        (Tuning(mode="single_job", strategy="hyperband"), "spread", "hyperband"),
        (Tuning(mode="single_job", early_stopping=False), "spread", "none"),
    ],
)
def test_one_job_searches_as_the_settings_say(aws: FakeAws, tuning: Tuning, sampler: str, stopping: str) -> None:
    run(aws, settings=Settings(image="x", tuning=tuning))
    given = aws.requests["createTrainingJob"][2]["HyperParameters"]
    assert (given["sampler"], given["stopping"]) == (sampler, stopping)


def test_one_job_that_fails_is_the_tuning_s_failure(aws: FakeAws) -> None:
    aws.failures["tune"] = TaskError("States.TaskFailed", {"FailureReason": "AlgorithmError: no features"})
    execution = run(aws, settings=SINGLE)
    assert (execution.error, execution.cause) == ("Pedigree.Tune", "Tune: AlgorithmError: no features")


def test_one_job_that_left_no_trials_is_the_tuning_s_failure(aws: FakeAws) -> None:
    failing = {"Tune: read the trials": TaskError("S3.NoSuchKeyException", "no such key")}
    execution = run(aws, settings=SINGLE, failing=failing)
    assert execution.error == "Pedigree.Tune"


def test_another_way_of_tuning_does_not_take_up_an_unfinished_execution(aws: FakeAws) -> None:
    failing = {"Train": TaskError("States.TaskFailed", {"FailureReason": "AlgorithmError: x"})}
    run(aws, settings=Settings(image="x"), failing=failing)
    assert run(aws, settings=Settings(image="x", tuning=Tuning(objective="loss"))).output["resumed"] is False
