"""Looks at the endpoint now and then: tells that it is idle, and deletes it if it stays so."""

import logging
import math
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from contract.names import VARIANT
from infra.reaper.decision import Action, Patience, decide, end_of
from infra.reaper.memory import TAG, Memory

logging.getLogger().setLevel(logging.INFO)
_logger: Final = logging.getLogger("pedigree")
# What one call of GetMetricStatistics returns at most, and the period that CloudWatch keeps for all of a month.
_MAX_POINTS: Final = 1440
_PERIOD_SECONDS: Final = 300


def handle(event: object, context: object) -> dict[str, str]:
    """Look once, and return what was found and done.

    Invocations reach CloudWatch a minute or two late: one that comes in just then is not seen.
    """
    name = os.environ["ENDPOINT_NAME"]
    found = _describe(name)
    if found is None:
        return _say(name, "is not there")
    if found["EndpointStatus"] != "InService":
        return _say(name, f"is {found['EndpointStatus']}")
    if _executions_run():
        return _say(name, "may be wanted by an execution that runs")
    now = datetime.now(UTC)
    memory = _recall(found)
    if memory is None or memory.config != found["EndpointConfigName"]:
        _remember(found, Memory(found["EndpointConfigName"], now))
        return _say(name, f"has a configuration that was not seen before: {found['EndpointConfigName']}")
    return _act(found, memory, now)


def _act(found: dict[str, Any], memory: Memory, now: datetime) -> dict[str, str]:
    name = found["EndpointName"]
    patience = Patience(_hours("IDLE_HOURS"), _hours("NOTICE_HOURS"))
    last = last_invocation(name, now, patience.idle)
    idle_since = max(memory.seen, last or memory.seen)
    match decide(memory, last, now, patience):
        case Action.TELL:
            end = end_of(idle_since, now, patience)
            _publish(f"Endpoint {name} is idle", _notice(name, idle_since, end))
            _remember(found, replace(memory, told=now))
            return _say(name, f"is idle since {idle_since:%Y-%m-%d %H:%M} UTC; told")
        case Action.DELETE:
            _delete(name)
            _publish(f"Endpoint {name} is deleted", _farewell(name, idle_since, memory.config))
            return _say(name, f"was idle since {idle_since:%Y-%m-%d %H:%M} UTC; deleted")
        case Action.NOTHING:
            return _say(name, f"is in use or not idle for long: since {idle_since:%Y-%m-%d %H:%M} UTC")


def last_invocation(name: str, now: datetime, back: timedelta) -> datetime | None:
    """Return when the endpoint was last asked anything, to the end of the period; None if not within that time.

    An endpoint that was never asked has no such metric at all.
    """
    period = _PERIOD_SECONDS * math.ceil(back / timedelta(seconds=_PERIOD_SECONDS) / _MAX_POINTS)
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": VARIANT}],
        StartTime=now - back,
        EndTime=now,
        Period=period,
        Statistics=["Sum"],
    )["Datapoints"]
    times = [point["Timestamp"] for point in points if point["Sum"] > 0]
    return min(max(times) + timedelta(seconds=period), now) if times else None


def _describe(name: str) -> dict[str, Any] | None:
    try:
        return dict(boto3.client("sagemaker").describe_endpoint(EndpointName=name))
    except ClientError as error:
        if "Could not find" in error.response["Error"]["Message"]:
            return None
        raise


def _executions_run() -> bool:
    found = boto3.client("stepfunctions").list_executions(
        stateMachineArn=os.environ["STATE_MACHINE"], statusFilter="RUNNING", maxResults=1
    )
    return bool(found["executions"])


def _recall(found: dict[str, Any]) -> Memory | None:
    pages = boto3.client("sagemaker").get_paginator("list_tags").paginate(ResourceArn=found["EndpointArn"])
    values = [tag["Value"] for page in pages for tag in page["Tags"] if tag["Key"] == TAG]
    return Memory.parse(values[0]) if values else None


def _remember(found: dict[str, Any], memory: Memory) -> None:
    boto3.client("sagemaker").add_tags(ResourceArn=found["EndpointArn"], Tags=[{"Key": TAG, "Value": str(memory)}])


def _delete(name: str) -> None:
    """Delete the endpoint; its configuration, its model and their place in the registry stay."""
    scaling = boto3.client("application-autoscaling")
    resource = f"endpoint/{name}/variant/{VARIANT}"
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])
    for target in targets["ScalableTargets"]:
        scaling.deregister_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=target["ResourceId"],
            ScalableDimension=target["ScalableDimension"],
        )
    boto3.client("sagemaker").delete_endpoint(EndpointName=name)


def _notice(name: str, idle_since: datetime, end: datetime) -> str:
    return (
        f"Nobody has asked the endpoint {name} anything since {idle_since:%Y-%m-%d %H:%M} UTC, and it costs as much as "
        f"if somebody did. It is deleted after {end:%Y-%m-%d %H:%M} UTC.\n\n"
        f"To keep it: send it a photo before. To keep it always: reaper.idle_hours: null for the stage in cdk.json."
    )


def _farewell(name: str, idle_since: datetime, config: str) -> str:
    return (
        f"The endpoint {name} was deleted: nobody had asked it anything since {idle_since:%Y-%m-%d %H:%M} UTC. "
        f"Its model is kept.\n\n"
        f"To have it back as it was, some minutes later:\n"
        f"  aws sagemaker create-endpoint --endpoint-name {name} --endpoint-config-name {config}\n"
        f"To have a newly trained one: start an execution."
    )


def _publish(subject: str, message: str) -> None:
    boto3.client("sns").publish(TopicArn=os.environ["TOPIC"], Subject=subject[:100], Message=message)


def _hours(variable: str) -> timedelta:
    return timedelta(hours=int(os.environ[variable]))


def _say(name: str, what: str) -> dict[str, str]:
    _logger.info("%s %s", name, what)
    return {"endpoint": name, "state": what}
