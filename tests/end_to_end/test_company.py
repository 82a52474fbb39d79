"""What a company's account asks for: names at their limits, two executions at once, and nothing left behind."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.settings import MAX_STAGE_NAME
from tests.end_to_end.checkout import copy_checkout
from tests.end_to_end.local_stage import LocalStage, add_stage, running_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STAGE = ("longest" * MAX_STAGE_NAME)[:MAX_STAGE_NAME]
MAX_EXECUTION_NAME = 80
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStage]:
    checkout = copy_checkout(tmp_path_factory.mktemp("company") / "pedigree")
    add_stage(
        checkout,
        STAGE,
        removal="destroy",
        customer_key=True,
        endpoint={"capture_percent": 100, "scaling": {"maximum_instances": 2}},
    )
    with running_stage(checkout, STAGE) as running:
        yield running
    assert not checkout.processes()


@pytest.fixture(scope="module")
def both(stage: LocalStage, photos: Path) -> list[dict[str, Any]]:
    """Two executions started at the same moment, with other seeds, so that neither reuses the other's jobs."""
    given = {"source": stage.upload(photos), "trials": 1, "epochs": 0}
    started = [stage.start(str(seed) * MAX_EXECUTION_NAME, **given, seed=seed) for seed in SEEDS]
    return [stage.wait(arn) for arn in started]


def test_the_longest_stage_and_execution_names_pass_every_check(both: list[dict[str, Any]]) -> None:
    assert [execution["status"] for execution in both] == ["SUCCEEDED", "SUCCEEDED"], both


def test_of_two_executions_at_once_only_one_at_a_time_changes_the_endpoint(
    stage: LocalStage, both: list[dict[str, Any]]
) -> None:
    times = [stage.entered(execution["executionArn"]) for execution in both]
    held = sorted(
        (one["Gate: read which model is in production"], one["Smoke test: release the lock"]) for one in times
    )
    (_, released), (taken, _) = held
    assert released <= taken


def test_after_both_the_endpoint_serves_what_is_recorded_as_in_production(
    stage: LocalStage, both: list[dict[str, Any]]
) -> None:
    assert both
    body = stage.client("s3").get_object(Bucket=stage.bucket, Key="production/model.json")["Body"].read()
    record = json.loads(body)
    endpoint = stage.client("sagemaker").describe_endpoint(EndpointName=stage.prefix)
    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointConfigName"] == record["endpoint_config_name"]


def test_both_models_stand_in_the_registry_with_their_metrics(stage: LocalStage, both: list[dict[str, Any]]) -> None:
    assert both
    sagemaker = stage.client("sagemaker")
    packages = sagemaker.list_model_packages(ModelPackageGroupName=stage.prefix)["ModelPackageSummaryList"]
    assert [package["ModelApprovalStatus"] for package in packages] == ["Approved", "Approved"]
    for package in packages:
        described = sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
        assert described["CustomerMetadataProperties"].keys() >= {"fingerprint", "source_revision"}


def test_no_lock_and_no_rehearsal_is_left(stage: LocalStage, both: list[dict[str, Any]]) -> None:
    assert both
    assert "Contents" not in stage.client("s3").list_objects_v2(Bucket=stage.bucket, Prefix="locks/")
    endpoints = stage.client("sagemaker").list_endpoints()["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in endpoints] == [stage.prefix]


def test_destroying_the_stacks_leaves_nothing_of_ours(stage: LocalStage, both: list[dict[str, Any]]) -> None:
    assert both
    root = stage.checkout.root
    command = [str(root / "node_modules" / ".bin" / "cdk"), "destroy", "--all", "--force", "--ci"]
    assembly = root / "build" / "cdk" / STAGE / "cdk.out"
    done = subprocess.run(
        [*command, "--app", str(assembly)],
        cwd=root,
        env=stage.checkout.environment | stage.variables | {"CDK_DISABLE_CLI_TELEMETRY": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout
    sagemaker = stage.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    targets = stage.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert targets["ScalableTargets"] == []
    stacks = stage.client("cloudformation").list_stacks()["StackSummaries"]
    left = {one["StackName"] for one in stacks if one["StackStatus"] != "DELETE_COMPLETE"}
    assert left == {"CDKToolkit"}
    buckets = [one["Name"] for one in stage.client("s3").list_buckets()["Buckets"]]
    assert [name for name in buckets if not name.startswith("cdk-")] == []
