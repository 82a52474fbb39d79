from typing import Any

import pytest

from console.errors import ConsoleError
from console.stacks import Deployed, deployed, describe_stacks
from contract.names import Output, Stack
from tests.console.events import START
from tests.console.fakes import FakeCloud


def stack(name: str, status: str = "CREATE_COMPLETE", **outputs: str) -> dict[str, Any]:
    found = {"StackName": name, "StackId": f"arn:{name}", "CreationTime": START, "StackStatus": status}
    return {"Stacks": [found | {"Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in outputs.items()]}]}


def test_the_outputs_of_all_stacks_are_put_together(cloud: FakeCloud) -> None:
    cloudformation = cloud.stub("cloudformation")
    outputs = {
        Stack.DATA: {Output.BUCKET: "bucket"},
        Stack.FRONT_DOOR: {Output.API_URL: "https://api", Output.API_KEY: "key"},
        Stack.PIPELINE: {Output.STATE_MACHINE: "arn:machine", Output.ENDPOINT: "pedigree-laptop"},
    }
    for name in Stack:
        asked = {"StackName": f"Pedigree-laptop-{name}"}
        cloudformation.add_response("describe_stacks", stack(name, **outputs[name]), asked)
    assert deployed(cloud) == Deployed("bucket", "arn:machine", "pedigree-laptop", "https://api", "key")


def test_a_stage_that_is_not_deployed_is_told_how_to(cloud: FakeCloud) -> None:
    for name in Stack:
        message = f"Stack with id Pedigree-laptop-{name} does not exist"
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", message)
    with pytest.raises(ConsoleError, match="is not deployed") as caught:
        deployed(cloud)
    assert caught.value.hint == "Run: pedigree deploy"


def test_a_stack_that_failed_is_not_complete(cloud: FakeCloud) -> None:
    for name, status in zip(Stack, ("CREATE_COMPLETE", "ROLLBACK_COMPLETE", "UPDATE_COMPLETE"), strict=True):
        cloud.stub("cloudformation").add_response("describe_stacks", stack(name, status))
    states = describe_stacks(cloud).values()
    assert [state is not None and state.is_complete for state in states] == [True, False, True]
