"""Early stopping: the rule, and a tuning job that follows it."""

from typing import Any

import pytest

from local_cloud.sagemaker.early_stopping import MedianRule
from tests.local_cloud.sagemaker.stand_in import Cloud
from tests.local_cloud.sagemaker.test_tuning import create, finished, trials


def rule_after(*ended: list[float], maximize: bool = True) -> MedianRule:
    """Return a rule that has seen trials with these reports end."""
    rule = MedianRule(maximize=maximize)
    for number, reports in enumerate(ended):
        for value in reports:
            rule.report(f"ended-{number}", value)
        rule.end(f"ended-{number}")
    return rule


@pytest.mark.parametrize(
    ("reports", "maximize", "losing"),
    [
        ([0.5], True, True),
        ([0.61], True, False),
        ([0.5], False, False),
        ([0.7], False, True),
        # The means up to the second report are 0.55, 0.65 and 0.75.
        ([0.9, 0.64], True, True),
        ([0.1, 0.66], True, False),
        ([], True, False),
        # None of them came so far.
        ([0.0, 0.0, 0.0], True, False),
    ],
)
def test_a_trial_is_held_against_the_median_of_the_means(reports: list[float], maximize: bool, losing: bool) -> None:
    rule = rule_after([0.5, 0.6], [0.6, 0.7], [0.7, 0.8], maximize=maximize)
    for value in reports:
        rule.report("running", value)
    assert rule.losing("running") is losing


def test_two_trials_are_too_few_to_compare_with() -> None:
    rule = rule_after([0.9], [0.9])
    rule.report("running", 0.1)
    assert not rule.losing("running")


def run(cloud: Cloud, early_stopping: str) -> dict[str, Any]:
    """Tune with three good trials and then bad ones that would take ten seconds; return the job's description."""
    script = """
bad = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]).name.split("-")[1] > "003"
for epoch in range(3 if not bad or EARLY == "Off" else 100):
    print(f"accuracy={0.1 if bad else 0.9};", flush=True)
    time.sleep(0.1)
""".replace("EARLY", repr(early_stopping))
    limits = {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 1}
    create(cloud, "tune", script, ResourceLimits=limits, TrainingJobEarlyStoppingType=early_stopping)
    return finished(cloud, "tune")


def test_a_losing_trial_is_stopped(cloud: Cloud) -> None:
    found = run(cloud, "Auto")
    assert found["HyperParameterTuningJobStatus"] == "Completed"
    assert found["TrainingJobStatusCounters"] | {"InProgress": 0} == {
        "Completed": 3,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 2,
    }
    assert found["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.9
    assert {trial["ObjectiveStatus"] for trial in trials(cloud, "tune", StatusEquals="Stopped")} == {"Succeeded"}


def test_without_early_stopping_every_trial_runs_to_its_end(cloud: Cloud) -> None:
    assert run(cloud, "Off")["TrainingJobStatusCounters"]["Completed"] == 5
