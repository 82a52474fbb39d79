"""The gate: which models are stopped, and in which words."""

import pytest

from tests.infra.fake_aws import FakeAws
from tests.infra.running import TEST, run


def test_a_model_below_the_floor_is_stopped_with_the_reason(aws: FakeAws) -> None:
    aws.metrics[TEST] = 0.412
    execution = run(aws)
    assert execution.error == "Pedigree.Gate"
    assert execution.cause == "Gate: the test accuracy of 41.2 % is below the required 60.0%"
    assert "createModel" not in aws.calls


def test_a_model_at_the_floor_passes(aws: FakeAws) -> None:
    aws.metrics[TEST] = 0.6
    assert run(aws).status == "SUCCEEDED"


def test_a_training_without_a_test_accuracy_is_stopped(aws: FakeAws) -> None:
    aws.metrics = {"train:loss": 0.1}
    assert run(aws).cause == f"Gate: the training reported no {TEST}"


def test_a_model_clearly_worse_than_production_on_the_same_data_is_stopped(aws: FakeAws) -> None:
    first = run(aws)
    aws.metrics[TEST] = 0.85
    cause = run(aws).cause
    assert "the test accuracy of 85 % is more than 2 points below the 90 %" in cause
    assert first.output["training_job_name"] in cause


def test_every_reason_is_given(aws: FakeAws) -> None:
    run(aws)
    aws.metrics[TEST] = 0.1
    assert run(aws).cause.count(";") == 1


@pytest.mark.parametrize("accuracy", [0.88, 0.95])
def test_a_model_about_as_good_as_production_passes(aws: FakeAws, accuracy: float) -> None:
    run(aws)
    aws.metrics[TEST] = accuracy
    assert run(aws).status == "SUCCEEDED"


@pytest.mark.parametrize(("photos", "status"), [(80, "SUCCEEDED"), (800, "FAILED")])
def test_on_few_test_photos_a_drop_may_be_chance(aws: FakeAws, photos: int, status: str) -> None:
    aws.summary = aws.summary | {"counts": {"test": photos}}
    run(aws)
    aws.metrics[TEST] = 0.85
    assert run(aws).status == status


def test_other_data_are_not_compared(aws: FakeAws) -> None:
    run(aws)
    aws.objects["production/model.json"]["fingerprint"] = "f0"
    aws.metrics[TEST] = 0.7
    assert run(aws).status == "SUCCEEDED"
