"""The strategy Hyperband: what is refused, the rule, and tuning jobs that follow it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.sagemaker.hyperband import HyperbandRule, resources
from tests.local_cloud.sagemaker.stand_in import Cloud
from tests.local_cloud.sagemaker.test_tuning import create, finished, trials

BAND = {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 10}}
LIMITS = {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"Strategy": "Hyperband", "StrategyConfig": BAND, "TrainingJobEarlyStoppingType": "Auto"},
            "TrainingJobEarlyStoppingType must be Off to use Hyperband",
        ),
        ({"Strategy": "Hyperband"}, "MaxResource is missing and cannot be inferred"),
        ({"Strategy": "Random", "StrategyConfig": BAND}, "only if Hyperband is selected as the Strategy, not Random"),
        (
            {
                "Strategy": "Hyperband",
                "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 8}},
            },
            "MinResource 9 must not be greater than MaxResource 8",
        ),
        (
            {"Strategy": "Hyperband", "StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 20_001}}},
            "must not be greater than 20000",
        ),
    ],
)
def test_what_aws_refuses_is_refused(cloud: Cloud, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        create(cloud, "refused", "", **changes)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("config", "static", "found"),
    [
        ({"MinResource": 2, "MaxResource": 9}, {}, (2, 9)),
        ({"MaxResource": 9}, {"epochs": "5"}, (1, 9)),
        ({}, {"n-epochs": '"7"'}, (1, 7)),
        ({"MinResource": 3}, {"epochs": "many", "num_epochs": "12"}, (3, 12)),
    ],
)
def test_a_missing_maximum_is_taken_from_the_static_hyperparameters(
    config: dict[str, int], static: dict[str, str], found: tuple[int, int]
) -> None:
    tuning = {"StrategyConfig": {"HyperbandStrategyConfig": config}}
    assert resources(tuning, {"StaticHyperParameters": static}) == found


def reported(rule: HyperbandRule, trial: str, *values: float) -> bool:
    rule.begin(trial)
    for value in values:
        rule.report(trial, value)
    return rule.losing(trial)


def test_a_trial_is_stopped_at_the_rung_or_where_it_has_got_the_most() -> None:
    rule = HyperbandRule((2, 4), maximize=True)
    assert not reported(rule, "good", 0.5, 0.9)
    assert reported(rule, "bad", 0.9, 0.1)
    rule.report("good", 0.9)
    assert not rule.losing("good")
    rule.report("good", 0.9)
    assert rule.losing("good")


def test_of_losses_the_lower_one_goes_on() -> None:
    rule = HyperbandRule((1, 2), maximize=False)
    assert not reported(rule, "good", 0.1)
    assert reported(rule, "bad", 0.2)
    assert not reported(rule, "equal", 0.1)


# The first two trials are good ones, the others would take ten seconds. Trials 4 and 5 are of the second bracket.
_SCRIPT = """
good = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]).name.split("-")[1] in GOOD
for epoch in range(5 if good else 100):
    print(f"accuracy={0.9 if good else 0.1};", flush=True)
    time.sleep(0.1)
"""


def test_losing_trials_are_stopped_and_counted(cloud: Cloud) -> None:
    script = _SCRIPT.replace("GOOD", repr(("001", "004")))
    create(cloud, "tune", script, Strategy="Hyperband", StrategyConfig=BAND, ResourceLimits=LIMITS)
    found = finished(cloud, "tune")
    assert found["HyperParameterTuningJobStatus"] == "Completed"
    assert found["TrainingJobStatusCounters"] == {
        "Completed": 2,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 4,
    }
    assert found["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    assert found["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.9
    stopped = {trial["TrainingJobName"].split("-")[1] for trial in trials(cloud, "tune", StatusEquals="Stopped")}
    assert stopped == {"002", "003", "005", "006"}
    (listed,) = cloud.sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert listed["Strategy"] == "Hyperband"


def test_a_trial_that_has_got_the_most_is_stopped(cloud: Cloud) -> None:
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    band = {"HyperbandStrategyConfig": {"MaxResource": 3}}
    script = _SCRIPT.replace("GOOD", "()")
    create(cloud, "most", script, Strategy="Hyperband", StrategyConfig=band, ResourceLimits=limits)
    found = finished(cloud, "most")
    assert found["TrainingJobStatusCounters"]["Stopped"] == 1
    assert found["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.1
    assert len(cloud.log_of("most-")) < 50
