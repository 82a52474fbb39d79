"""Which image runs where, and the custom resource that builds it."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from aws_cdk import App, RemovalPolicy, Stack
from botocore.stub import Stubber

from infra.image import end_build, start_build
from infra.image.construct import Images
from infra.settings import Endpoint, Job, Jobs, Settings

Synthesize = Callable[[str], dict[str, Any]]
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


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What CloudFormation is told."""
    told: list[dict[str, Any]] = []

    def respond(event: dict[str, Any], name: str, *, reason: str = "", data: dict[str, str]) -> None:
        told.append({"url": event["ResponseURL"], "name": name, "reason": reason, "tag": data["ImageTag"]})

    for module in (start_build, end_build):
        monkeypatch.setattr(module, "respond", respond)
    return told


def request(kind: str) -> dict[str, Any]:
    ids = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "Image"}
    return {"RequestType": kind, "ResponseURL": "https://answer", "ResourceProperties": PROPERTIES, **ids}


def test_an_image_that_exists_is_not_built_again(clients: Clients, answers: list[dict[str, Any]]) -> None:
    clients.stubs["ecr"].add_response("describe_images", {"imageDetails": [{}]})
    start_build.handle(request("Create"), None)
    assert answers == [{"url": "https://answer", "name": "image-cpu", "reason": "", "tag": "cpu-abc"}]


def test_a_missing_image_is_built_and_the_answer_waits_for_the_build(
    clients: Clients, answers: list[dict[str, Any]]
) -> None:
    sent = start(clients, "Update")
    assert not answers
    assert sent["projectName"] == "project"
    assert sent["idempotencyToken"] == "request"
    assert sent["environmentVariablesOverride"][0] == {"name": "TARGET", "value": "cpu", "type": "PLAINTEXT"}


def start(clients: Clients, kind: str) -> dict[str, Any]:
    """Start a build and return the request for it."""
    sent: list[dict[str, Any]] = []
    clients.stubs["ecr"].add_client_error("describe_images", "ImageNotFoundException")
    clients.stubs["codebuild"].add_response("start_build", {"build": {"id": "project:1"}})
    clients.clients["codebuild"].meta.events.register(
        "provide-client-params.codebuild.StartBuild", lambda params, **_: sent.append(dict(params))
    )
    start_build.handle(request(kind), None)
    (one,) = sent
    return one


def test_deleting_builds_nothing_and_is_answered_at_once(clients: Clients, answers: list[dict[str, Any]]) -> None:
    start_build.handle({**request("Delete"), "PhysicalResourceId": "image-cpu"}, None)
    assert [answer["reason"] for answer in answers] == [""]


def test_another_error_of_the_registry_is_the_answer(clients: Clients, answers: list[dict[str, Any]]) -> None:
    clients.stubs["ecr"].add_client_error("describe_images", "AccessDeniedException", "may not")
    start_build.handle(request("Create"), None)
    assert "AccessDeniedException" in answers[0]["reason"]


def end(clients: Clients, started: dict[str, Any], **outcome: Any) -> None:
    """Tell the second half that the build which ``started`` asked for has ended."""
    variables = [*started["environmentVariablesOverride"], {"name": "TAG", "value": "abc", "type": "PLAINTEXT"}]
    build = {"id": "project:1", "environment": environment(variables), **outcome}
    clients.stubs["codebuild"].add_response("batch_get_builds", {"builds": [build]}, {"ids": ["project:1"]})
    arn = "arn:aws:codebuild:us-east-1:123456789012:build/project:1"
    end_build.handle({"detail": {"build-id": arn, "build-status": outcome["buildStatus"]}}, None)


def environment(variables: list[dict[str, str]]) -> dict[str, Any]:
    return {"type": "LINUX_CONTAINER", "image": "i", "computeType": "c", "environmentVariables": variables}


def test_the_end_of_a_build_is_told_to_the_request_that_it_was_started_for(
    clients: Clients, answers: list[dict[str, Any]]
) -> None:
    end(clients, start(clients, "Create"), buildStatus="SUCCEEDED")
    assert answers == [{"url": "https://answer", "name": "image-cpu", "reason": "", "tag": "cpu-abc"}]


def test_a_failed_build_says_where_its_log_stands(clients: Clients, answers: list[dict[str, Any]]) -> None:
    phases = [
        {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
        {"phaseType": "BUILD", "phaseStatus": "FAILED"},
        {"phaseType": "COMPLETED"},
    ]
    log = {"deepLink": "https://log"}
    end(clients, start(clients, "Create"), buildStatus="FAILED", phases=phases, logs=log)
    assert answers[0]["reason"] == "the build project:1 ended FAILED in BUILD; see https://log"


def test_a_build_that_a_person_started_answers_nobody(clients: Clients, answers: list[dict[str, Any]]) -> None:
    end(clients, {"environmentVariablesOverride": []}, buildStatus="SUCCEEDED")
    assert not answers


def test_the_longest_wait_for_a_build_is_shorter_than_cloudformation_s(synthesize: Synthesize) -> None:
    (project,) = [
        each["Properties"]
        for each in synthesize("dev")["Pipeline"]["Resources"].values()
        if each["Type"] == "AWS::CodeBuild::Project"
    ]
    assert project["QueuedTimeoutInMinutes"] + project["TimeoutInMinutes"] < 60
