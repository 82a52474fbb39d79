"""Custom resource of the pipeline: with the stack goes everything that executions made outside CloudFormation."""

import logging
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.cleanup.cloudformation import answer, is_stack_ending
from infra.cleanup.kinds import client, registry_kinds, running_kinds, serving_kinds
from infra.cleanup.sweep import Clock, sweep

logging.getLogger().setLevel(logging.INFO)
_logger: Final = logging.getLogger("pedigree")


def handle(event: dict[str, Any], context: Any) -> None:
    """Limit the shared log groups when the stack is made or changed; remove what executions made when it is deleted.

    Properties of the resource: Prefix, StateMachine, Registry ("delete" or "keep"), PauseSeconds, LogGroups, LogDays.
    """
    properties = event["ResourceProperties"]

    def work() -> None:
        if event["RequestType"] != "Delete":
            for group in properties["LogGroups"]:
                limit_log_group(group, int(properties["LogDays"]))
        elif is_stack_ending(event):
            clean_up(properties, Clock.of(context, float(properties["PauseSeconds"])))
        else:
            _logger.info("the stack stays, and so does what executions made")

    answer(event, f"{properties['Prefix']}-cleanup", work)


def clean_up(properties: dict[str, Any], clock: Clock) -> None:
    """Stop what runs, and delete what is left of it.

    Raises:
        LeftBehindError: something could not be deleted; the message names it.
    """
    prefix = properties["Prefix"]
    kinds = [*running_kinds(prefix, properties["StateMachine"]), *serving_kinds(prefix)]
    if properties["Registry"] == "delete":
        kinds += registry_kinds(prefix)
    sweep(kinds, clock)


def limit_log_group(name: str, days: int) -> None:
    """Have a log group that belongs to the whole account keep its lines for some days, unless somebody chose already.

    SageMaker makes the group with its first job, and then keeps its lines forever.
    """
    logs = client("logs")
    pages = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    found = {group["logGroupName"]: group for page in pages for group in page["logGroups"]}
    if name not in found:
        try:
            logs.create_log_group(logGroupName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
    if "retentionInDays" not in found.get(name, {}):
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)
