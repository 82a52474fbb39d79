"""What a stage has deployed, as CloudFormation tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.errors import ConsoleError
from contract.names import Output, Stack, stack_name


@dataclass(frozen=True)
class StackState:
    """One stack: its status, and what changes when anyone deploys it again."""

    name: str
    status: str
    reason: str
    version: str
    outputs: Mapping[str, str]

    @property
    def is_complete(self) -> bool:
        """Whether its last operation went through."""
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True)
class Deployed:
    """The outputs by which the console finds what a stage deployed."""

    bucket: str
    state_machine_arn: str
    endpoint_name: str
    api_url: str
    api_key_id: str


def describe_stack(cloud: Cloud, name: str) -> StackState | None:
    """Return one stack, or None where there is none."""
    try:
        found: dict[str, Any] = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    changed = found.get("LastUpdatedTime", found.get("CreationTime", ""))
    return StackState(
        name=name,
        status=found["StackStatus"],
        reason=found.get("StackStatusReason", ""),
        version=f"{found['StackId']} {changed}",
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())},
    )


def describe_stacks(cloud: Cloud) -> dict[Stack, StackState | None]:
    """Return every stack of the cloud's stage."""
    return {stack: describe_stack(cloud, stack_name(cloud.stage, stack)) for stack in Stack}


def deployed(cloud: Cloud) -> Deployed:
    """Return what the stage has deployed.

    Raises:
        ConsoleError: nothing, or not all of it.
    """
    outputs: dict[str, str] = {}
    for state in describe_stacks(cloud).values():
        outputs.update(state.outputs if state is not None else {})
    missing = [name for name in Output if name not in outputs]
    if missing:
        raise ConsoleError(
            f"Stage {cloud.stage} is not deployed: the stacks have no output {', '.join(missing)}.",
            f"Run: {command(cloud, 'deploy')}",
        )
    return Deployed(
        bucket=outputs[Output.BUCKET],
        state_machine_arn=outputs[Output.STATE_MACHINE],
        endpoint_name=outputs[Output.ENDPOINT],
        api_url=outputs[Output.API_URL],
        api_key_id=outputs[Output.API_KEY],
    )


def command(cloud: Cloud, words: str) -> str:
    """Return what to type for a command on this cloud."""
    return (
        f"pedigree {words}" if cloud.name == "laptop" else f"pedigree --on {cloud.name} --stage {cloud.stage} {words}"
    )
