"""The photos and the weights that the jobs fetch."""

from collections.abc import Callable
from typing import Any

import pytest

from console.doctor import sources
from console.doctor.result import State, Subject
from contract.names import Output, Stack
from tests.console.doctor.subjects import FakeAws, from_source, only


def test_photos_behind_an_address_are_asked_for_with_their_size(
    subject: Subject, answering: Callable[[int], None]
) -> None:
    answering(200)
    result = only(sources.photos(from_source(subject, "https://example.org/dogs.zip?signature=secret")))
    assert result.found == "https://example.org/dogs.zip, 1,100 MB"


@pytest.mark.parametrize(("status", "state"), [(404, State.PROBLEM), (403, State.WARNING)])
def test_an_address_that_refuses_is_told(
    subject: Subject, answering: Callable[[int], None], status: int, state: State
) -> None:
    answering(status)
    assert only(sources.photos(from_source(subject, "https://example.org/dogs.zip"))).state is state


@pytest.mark.usefixtures("offline")
def test_an_address_out_of_reach_from_here_may_be_in_reach_of_the_jobs(subject: Subject) -> None:
    assert only(sources.photos(from_source(subject, "https://example.org/dogs.zip"))).state is State.WARNING


def test_an_address_does_not_go_with_network_isolation(
    subject: Subject, settings: dict[str, Any], answering: Callable[[int], None]
) -> None:
    answering(200)
    settings["network"]["isolation"] = True
    states = [result.state for result in sources.photos(from_source(subject, "https://example.org/dogs.zip"))]
    assert states == [State.OK, State.PROBLEM]


def test_a_bucket_that_the_jobs_may_not_read_is_told(subject: Subject, cloud: FakeAws) -> None:
    cloud.stub("s3").add_response("list_objects_v2", {"KeyCount": 1})
    for _ in Stack:
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", "x does not exist")
    result = only(sources.photos(from_source(subject, "s3://photos/dogs")))
    assert result.todo == ('"source_buckets": ["photos"] in cdk.json, then deploy',)


def test_the_stage_s_own_bucket_may_be_read(subject: Subject, cloud: FakeAws) -> None:
    stack = {
        "StackName": "Pedigree-dev-Data",
        "StackId": "arn",
        "CreationTime": "2026-01-01T00:00:00Z",
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": Output.BUCKET, "OutputValue": "photos"}],
    }
    cloud.stub("s3").add_response("list_objects_v2", {"KeyCount": 1})
    for _ in Stack:
        cloud.stub("cloudformation").add_response("describe_stacks", {"Stacks": [stack]})
    assert only(sources.photos(from_source(subject, "s3://photos/datasets"))).state is State.OK


@pytest.mark.parametrize("empty", [True, False])
def test_a_bucket_with_nothing_or_no_entry_is_told(subject: Subject, cloud: FakeAws, empty: bool) -> None:
    if empty:
        cloud.stub("s3").add_response("list_objects_v2", {"KeyCount": 0})
    else:
        cloud.stub("s3").add_client_error("list_objects_v2", "AccessDenied", "Access Denied")
    assert only(sources.photos(from_source(subject, "s3://photos/dogs"))).state is State.PROBLEM


def test_a_folder_that_is_not_there_is_told_in_the_words_of_run(subject: Subject) -> None:
    assert "there is no such folder" in only(sources.photos(from_source(subject, "/nowhere"))).found


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("backbone", "state"), [("auto", State.WARNING), ("resnet50", State.PROBLEM)])
def test_weights_out_of_reach_stop_resnet50_alone(
    subject: Subject, cloud: FakeAws, settings: dict[str, Any], backbone: str, state: State
) -> None:
    for _ in Stack:
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", "x does not exist")
    settings["defaults"]["backbone"] = backbone
    result = only(sources.weights(subject))
    assert result.state is state
    assert result.todo[-1] == "aws s3 cp resnet50-11ad3fa6.pth s3://BUCKET/weights/resnet50.pth"


def test_isolated_containers_need_the_weights_in_the_bucket(
    subject: Subject, cloud: FakeAws, settings: dict[str, Any], answering: Callable[[int], None]
) -> None:
    answering(200)
    for _ in Stack:
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", "x does not exist")
    settings["network"]["isolation"] = True
    settings["defaults"]["backbone"] = "resnet50"
    assert "must stand in the bucket" in only(sources.weights(subject)).found


def test_efficientnet_needs_nothing(subject: Subject, settings: dict[str, Any]) -> None:
    settings["defaults"]["backbone"] = "efficientnet_lite0"
    assert only(sources.weights(subject)).state is State.OK
