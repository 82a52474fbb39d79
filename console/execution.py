"""Starting and stopping executions of the state machine."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from console.cloud import Cloud
from console.dataset import Source
from console.interrupts import shielded
from console.summary import Options


def request(source: Source, options: Options) -> dict[str, Any]:
    """Return the execution's input; what was not asked for is left to the stage's defaults."""
    wanted = {
        "source": source.uri,
        "source_fingerprint": source.fingerprint,
        "backbone": options.backbone,
        "trials": options.trials,
        "epochs": options.epochs,
        "seed": options.seed,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def start(cloud: Cloud, state_machine_arn: str, given: Mapping[str, Any]) -> str:
    """Start an execution; returns its ARN."""
    name = f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    started = cloud.client("stepfunctions").start_execution(
        stateMachineArn=state_machine_arn, name=name, input=json.dumps(given)
    )
    return str(started["executionArn"])


def stop(cloud: Cloud, execution_arn: str) -> str:
    """Stop an execution as far as it can be reached; returns "" or why it could not be stopped."""
    with shielded():
        try:
            cloud.client("stepfunctions").stop_execution(
                executionArn=execution_arn, error="Pedigree.Interrupted", cause="stopped from the console"
            )
        except (BotoCoreError, ClientError) as error:
            return str(error)
    return ""
