"""Which image runs where, and the custom resource that builds it."""

from typing import Any

import boto3
import pytest
from aws_cdk import App, RemovalPolicy, Stack
from botocore.stub import ANY, Stubber

from infra.image import check_build, start_build
from infra.image.construct import Images
from infra.settings import Endpoint, Job, Jobs, Settings

PROPERTIES = {"Project": "project", "Repository": "repository", "Target": "cpu", "Tag": "abc"}
CPU = Job(instance_type="ml.m5.large")


class Clients:
    """Stubbed clients in the place of boto3.client."""

    def __init__(self) -> None:
        keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.clients = {name: boto3.client(name, **keys) for name in ("ecr", "codebuild")}  # type: ignore[call-overload]  # named at run time
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()

    def __call__(self, service: str) -> Any:
        return self.clients[service]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    made = Clients()
    monkeypatch.setattr(boto3, "client", made)
    return made


def images(settings: Settings) -> tuple[Images, Stack]:
    stack = Stack(App(), "S")
    return Images(stack, "Images", settings=settings, removal=RemovalPolicy.DESTROY), stack


def test_a_given_image_is_used_as_it_is() -> None:
    made, _ = images(Settings(image="pedigree:laptop"))
    assert (made.cpu, made.gpu) == ("pedigree:laptop", "pedigree:laptop")
    assert not made.pull_statements()


def test_pulling_a_given_image_of_a_registry_is_allowed() -> None:
    made, stack = images(Settings(image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/pedigree:7"))
    (arn,) = stack.resolve(made.pull_statements()[0].resources)
    assert "ecr:eu-west-1:123456789012:repository/team/pedigree" in str(arn)


def test_only_images_that_some_job_needs_are_built() -> None:
    settings = Settings(jobs=Jobs(extract=CPU, train=CPU), endpoint=Endpoint(instance_type="ml.c5.large"))
    made, _ = images(settings)
    assert made.cpu
    assert not made.gpu


def test_an_image_that_exists_is_not_built_again(clients: Clients) -> None:
    clients.stubs["ecr"].add_response("describe_images", {"imageDetails": [{}]})
    answer = start_build.handle({"RequestType": "Create", "ResourceProperties": PROPERTIES}, None)
    assert answer == {"PhysicalResourceId": "cpu-abc", "Data": {"ImageTag": "cpu-abc"}}
    assert check_build.handle(answer, None) == {"IsComplete": True}


def test_a_missing_image_is_built_for_its_target(clients: Clients) -> None:
    clients.stubs["ecr"].add_client_error("describe_images", "ImageNotFoundException")
    target = [{"name": "TARGET", "value": "cpu", "type": "PLAINTEXT"}]
    clients.stubs["codebuild"].add_response(
        "start_build",
        {"build": {"id": "project:1"}},
        {"projectName": "project", "environmentVariablesOverride": target},
    )
    assert (
        start_build.handle({"RequestType": "Update", "ResourceProperties": PROPERTIES}, None)["BuildId"] == "project:1"
    )


def test_deleting_builds_nothing(clients: Clients) -> None:
    answer = start_build.handle({"RequestType": "Delete", "ResourceProperties": PROPERTIES}, None)
    assert "BuildId" not in answer


def test_another_error_of_the_registry_is_not_hidden(clients: Clients) -> None:
    clients.stubs["ecr"].add_client_error("describe_images", "AccessDeniedException")
    with pytest.raises(Exception, match="AccessDenied"):
        start_build.handle({"RequestType": "Create", "ResourceProperties": PROPERTIES}, None)


@pytest.mark.parametrize(("status", "complete"), [("IN_PROGRESS", False), ("SUCCEEDED", True)])
def test_a_build_is_waited_for(clients: Clients, status: str, complete: bool) -> None:
    build = {"id": "project:1", "buildStatus": status}
    clients.stubs["codebuild"].add_response("batch_get_builds", {"builds": [build]}, {"ids": ANY})
    assert check_build.handle({"BuildId": "project:1"}, None) == {"IsComplete": complete}


def test_a_failed_build_says_where_its_log_stands(clients: Clients) -> None:
    build = {"buildStatus": "FAILED", "currentPhase": "BUILD", "logs": {"deepLink": "https://log"}}
    clients.stubs["codebuild"].add_response("batch_get_builds", {"builds": [build]})
    with pytest.raises(check_build.BuildError, match="project:1 ended FAILED in BUILD; see https://log"):
        check_build.handle({"BuildId": "project:1"}, None)
