"""`pedigree status`: what is deployed, what ran, what is served."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from rich.table import Table

from console.cloud import Cloud
from console.endpoint import describe_endpoint
from console.prediction.api import address_of
from console.screen import Screen, duration, percent
from console.stacks import Deployed, command, deployed, describe_stacks
from contract.metrics import FINAL_ERRORS, FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY, FINAL_WARNINGS
from contract.names import ApiPath, Prefix

_EXECUTIONS_SHOWN = 5


def show_status(cloud: Cloud, screen: Screen) -> None:
    """Print it."""
    screen.say(f"Stage {cloud.stage} on {cloud.name}, account {cloud.account()}, {cloud.region()}")
    states = describe_stacks(cloud)
    for stack, state in states.items():
        status = f"{state.status} {state.reason}".strip() if state is not None else "not deployed"
        screen.say(f"  stack {stack}: {status}")
    if not all(state is not None and state.is_complete for state in states.values()):
        screen.say(f"To deploy: {command(cloud, 'deploy')}")
        return
    stage = deployed(cloud)
    _show_executions(cloud, stage, screen)
    _show_model(cloud, stage, screen)
    screen.say(f"Page: {address_of(cloud, stage)}{ApiPath.PAGE} (opened with its key by: {command(cloud, 'open')})")


def _show_executions(cloud: Cloud, stage: Deployed, screen: Screen) -> None:
    answer = cloud.client("stepfunctions").list_executions(
        stateMachineArn=stage.state_machine_arn, maxResults=_EXECUTIONS_SHOWN
    )
    if not answer["executions"]:
        screen.say(f"No execution yet. To start one: {command(cloud, 'run')}")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("last executions", "status", "started", "took"):
        table.add_column(heading, no_wrap=True)
    for execution in answer["executions"]:
        started, stopped = execution["startDate"], execution.get("stopDate")
        took = duration((stopped - started).total_seconds()) if stopped else ""
        table.add_row(execution["name"], execution["status"], f"{started:%Y-%m-%d %H:%M:%S}", took)
    screen.show(table)


def _show_model(cloud: Cloud, stage: Deployed, screen: Screen) -> None:
    endpoint = describe_endpoint(cloud, stage.endpoint_name)
    production = _production(cloud, stage.bucket)
    if endpoint is None:
        _say_how_to_get_one(cloud, stage, production.get("endpoint_config_name"), screen)
        return
    screen.say(f"Endpoint {endpoint.name}: {endpoint.status} {endpoint.reason}".rstrip())
    package = production.get("model_package_arn")
    if package is None:
        return
    known = _registered(cloud, package)
    for metric, words in ((FINAL_TEST_ACCURACY, "Test accuracy"), (FINAL_VALID_ACCURACY, "Validation accuracy")):
        if metric.name in known:
            screen.say(f"{words}: {percent(float(known[metric.name]))}")
    errors, warnings = (float(known.get(metric.name, 0)) for metric in (FINAL_ERRORS, FINAL_WARNINGS))
    if errors or warnings:
        screen.say(f"Found by the rules of its training: {errors:.0f} errors, {warnings:.0f} warnings")
    version = package.rpartition("/")[2]
    screen.say(
        f"Version {version}, trained by {production.get('training_job_name')}, deployed {production.get('deployed_at')}"
    )


def _say_how_to_get_one(cloud: Cloud, stage: Deployed, config: str | None, screen: Screen) -> None:
    name = stage.endpoint_name
    if config is None:
        screen.say(f"Endpoint {name}: none yet, no model has been deployed")
        return
    screen.say(f"Endpoint {name}: deleted, by hand or because nobody used it (reaper.idle_hours); its model is kept.")
    create = f"aws sagemaker create-endpoint --endpoint-name {name} --endpoint-config-name {config}"
    screen.say(f"To have it back as it was: {create}")
    screen.say(f"To have a newly trained one: {command(cloud, 'run')}")


def _production(cloud: Cloud, bucket: str) -> dict[str, Any]:
    try:
        answer = cloud.client("s3").get_object(Bucket=bucket, Key=f"{Prefix.PRODUCTION}/model.json")
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return {}
        raise
    found: dict[str, Any] = json.loads(answer["Body"].read())
    return found


def _registered(cloud: Cloud, package: str) -> Mapping[str, str]:
    """Return what the model registry knows of a version; nothing where it was deleted."""
    try:
        described = cloud.client("sagemaker").describe_model_package(ModelPackageName=package)
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return {}
        raise
    known: Mapping[str, str] = described.get("CustomerMetadataProperties", {})
    return known
