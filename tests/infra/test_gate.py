"""The gate: which models are stopped, and in which words."""

import pytest

from contract.metrics import FINAL_ERRORS
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import TaskError
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
    aws.summary = aws.summary | {"fingerprint": "f0"}
    aws.metrics[TEST] = 0.7
    assert run(aws, {"seed": 1}).status == "SUCCEEDED"


def test_the_metrics_are_those_of_the_registry(aws: FakeAws) -> None:
    run(aws)
    (package,) = aws.registry.packages.values()
    package["CustomerMetadataProperties"][TEST] = "0.99"
    assert "below the 99 % of the model in production" in run(aws).cause


def test_a_version_deleted_from_the_registry_is_nothing_to_compare_with(aws: FakeAws) -> None:
    run(aws)
    aws.registry.packages.clear()
    aws.metrics[TEST] = 0.61
    assert run(aws).status == "SUCCEEDED"


def test_a_record_that_names_no_version_is_nothing_to_compare_with(aws: FakeAws) -> None:
    aws.objects["production/model.json"] = {"training_job_name": "pedigree-dev-train-1"}
    assert run(aws).status == "SUCCEEDED"
    assert "describeModelPackage" not in aws.calls


def test_a_registry_that_cannot_be_asked_stops_the_model(aws: FakeAws) -> None:
    run(aws)
    aws.failures["describeModelPackage"] = TaskError("SageMaker.SageMakerException", "User is not authorized")
    execution = run(aws)
    assert execution.cause.startswith("Gate: the model in production cannot be looked up: ")
    assert "User is not authorized" in execution.cause


def test_an_error_that_a_rule_found_stops_the_model_in_the_rules_words(aws: FakeAws) -> None:
    found = "DeadRelu at step 40: 97 % of conv1 say nothing. Lower the learning rate."
    aws.found = {"errors": [found], "warnings": ["Overfit: a little."]}
    execution = run(aws)
    assert (execution.error, execution.cause) == ("Pedigree.Gate", f"Gate: {found}")
    (package,) = aws.registry.packages.values()
    assert package["ModelApprovalStatus"] == "Rejected"
    assert found in package["ApprovalDescription"]
    assert "createModel" not in aws.calls


def test_several_errors_are_several_reasons(aws: FakeAws) -> None:
    aws.found = {"errors": ["AllZero: a.", "DeadRelu: b."], "warnings": []}
    assert run(aws).cause == "Gate: AllZero: a.; DeadRelu: b."


def test_warnings_pass_the_gate_and_are_told(aws: FakeAws) -> None:
    aws.found = {"errors": [], "warnings": ["Overfit: a.", "Confusion: b."]}
    execution = run(aws)
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["findings"] == aws.found


def test_errors_stop_the_model_even_where_their_words_are_lost(aws: FakeAws) -> None:
    aws.found = None
    aws.metrics[FINAL_ERRORS.name] = 2.0
    assert run(aws).cause == "Gate: rules found 2 errors in the training"


def test_a_training_that_left_no_findings_is_judged_by_its_accuracy(aws: FakeAws) -> None:
    aws.found = None
    execution = run(aws)
    assert execution.output["findings"] == {"errors": [], "warnings": []}


def test_findings_that_may_not_be_read_are_no_reason_to_deploy(aws: FakeAws) -> None:
    denied = TaskError("S3.S3Exception", "Access Denied (Service: S3, Status Code: 403)")
    execution = run(aws, failing={"Train: read what its rules found": denied})
    assert (execution.error, "Access Denied" in execution.cause) == ("Pedigree.Train", True)
