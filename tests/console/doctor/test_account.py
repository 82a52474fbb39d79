"""The account: SageMaker, the bootstrap, Debugger."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from console.doctor import account
from console.doctor.result import State, Subject
from tests.console.doctor.subjects import FakeAws, only


def test_a_region_without_sagemaker_is_told_with_those_that_have_it(
    subject: Subject, cloud: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**given: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://api.sagemaker.xx-moon-1.amazonaws.com")

    monkeypatch.setattr(cloud.client("sagemaker"), "list_endpoints", fail)
    result = only(account.sagemaker(subject))
    assert result.state is State.PROBLEM
    assert "eu-central-1" in result.todo[0]


@pytest.mark.parametrize(
    ("version", "status", "state"),
    [
        ("30", "UPDATE_COMPLETE", State.OK),
        ("5", "CREATE_COMPLETE", State.PROBLEM),
        ("30", "ROLLBACK_COMPLETE", State.PROBLEM),
    ],
)
def test_the_bootstrap_is_judged_by_version_and_status(
    subject: Subject, cloud: FakeAws, version: str, status: str, state: State
) -> None:
    stack = {
        "StackName": "CDKToolkit",
        "StackId": "arn",
        "CreationTime": "2026-01-01T00:00:00Z",
        "StackStatus": status,
        "Outputs": [{"OutputKey": "BootstrapVersion", "OutputValue": version}],
    }
    cloud.stub("cloudformation").add_response("describe_stacks", {"Stacks": [stack]})
    result = only(account.bootstrap(subject))
    assert result.state is state
    if result.todo:
        assert result.todo[0].endswith("bootstrap aws://000000000000/us-east-1")


def test_a_missing_bootstrap_is_no_problem_since_the_first_deployment_does_it(subject: Subject, cloud: FakeAws) -> None:
    stub = cloud.stub("cloudformation")
    stub.add_client_error("describe_stacks", "ValidationError", "Stack with id CDKToolkit does not exist")
    assert only(account.bootstrap(subject)).state is State.WARNING


def test_the_managed_debugger_cannot_be_asked_for(subject: Subject, settings: dict[str, Any]) -> None:
    assert only(account.debugger(subject)).state is State.OK
    settings["debugger"] = "managed"
    assert "2026-07-30" in only(account.debugger(subject)).found
