"""The registry: every trained model is a version with its metrics, its data, its code and what became of it."""

import pytest

from infra.settings import Settings
from tests.infra.fake_aws import FakeAws
from tests.infra.machine import TaskError
from tests.infra.running import TEST, VALID, run


def test_a_model_is_registered_with_what_it_is_and_how_good(aws: FakeAws) -> None:
    output = run(aws).output
    ((arn, package),) = aws.registry.packages.items()
    assert output["model_package_arn"] == arn
    assert package["ModelPackageGroupName"] == "pedigree-dev"
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == output["model_uri"]
    known = package["CustomerMetadataProperties"]
    assert known["training_job_name"] == output["training_job_name"]
    assert known["output_uri"] == output["output_uri"]
    assert (known["fingerprint"], known["source_revision"]) == ("f1", "0123abc")
    assert (float(known[TEST]), float(known[VALID])) == (0.9, 0.91)
    assert known["execution_arn"] in aws.executions


def test_its_metrics_stand_beside_the_model(aws: FakeAws) -> None:
    output = run(aws).output
    (package,) = aws.registry.packages.values()
    uri = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert uri == f"s3://bucket/models/{output['training_job_name']}/statistics.json"
    statistics = aws.objects[uri.removeprefix("s3://bucket/")]
    assert statistics["multiclass_classification_metrics"]["accuracy"]["value"] == 0.9


def test_it_is_pending_until_it_has_passed_the_smoke_test(aws: FakeAws) -> None:
    run(aws)
    assert aws.requests["createModelPackage"][0]["ModelApprovalStatus"] == "PendingManualApproval"
    (package,) = aws.registry.packages.values()
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"].startswith("in service at pedigree-dev since ")


def test_the_server_can_say_which_version_it_is(aws: FakeAws) -> None:
    output = run(aws).output
    environment = aws.requests["createModel"][0]["PrimaryContainer"]["Environment"]
    assert environment["PEDIGREE_MODEL_PACKAGE"] == output["model_package_arn"]


def test_the_version_says_that_it_takes_photos_and_json_of_several(aws: FakeAws) -> None:
    run(aws)
    specification = aws.requests["createModelPackage"][0]["InferenceSpecification"]
    assert specification["SupportedContentTypes"] == ["image/jpeg", "image/png", "image/webp", "application/json"]


def test_the_group_is_made_once(aws: FakeAws) -> None:
    run(aws)
    assert run(aws).status == "SUCCEEDED"
    assert list(aws.registry.packages) == [
        f"arn:aws:sagemaker:us-east-1:123456789012:model-package/pedigree-dev/{version}" for version in (1, 2)
    ]


def test_a_group_that_cannot_be_made_is_an_error(aws: FakeAws) -> None:
    aws.failures["createModelPackageGroup"] = TaskError("SageMaker.SageMakerException", "User is not authorized")
    execution = run(aws)
    assert execution.cause == "Register: SageMaker.SageMakerException: User is not authorized"
    assert "createModelPackage" not in aws.calls


def test_a_request_that_is_repeated_makes_no_second_version(aws: FakeAws) -> None:
    run(aws)
    run(aws)
    tokens = [request["ClientToken"] for request in aws.requests["createModelPackage"]]
    assert len(set(tokens)) == 2


@pytest.mark.parametrize("source", ["https://example.com/dogs.zip?a=b&c='d'#~%20", f"s3://b/{'x' * 300}"])
def test_every_source_fits_the_registry_s_alphabet(aws: FakeAws, source: str) -> None:
    execution = run(aws, {"source": source})
    assert execution.status == "SUCCEEDED", execution.cause


def test_a_training_without_metrics_is_registered_and_then_stopped(aws: FakeAws) -> None:
    aws.metrics = {}
    assert run(aws).error == "Pedigree.Gate"
    assert aws.registry.statuses() == ["Rejected"]


def test_the_longest_stage_name_fits(aws: FakeAws) -> None:
    assert run(aws, settings=Settings(stage="a" * 10, image="x")).status == "SUCCEEDED"
