"""Custom resources that clean up: they always answer, spare what is not theirs, and name what is left."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from infra.cleanup import clean_up, cloudformation, empty_buckets
from infra.cleanup.kinds import belongs
from infra.cleanup.sweep import Clock, Kind, LeftBehindError, sweep

PREFIX = "pedigree-dev"
ARN = "arn:aws:s3:::bucket"


def event(request_type: str, **properties: Any) -> dict[str, Any]:
    """Return what CloudFormation sends."""
    return {
        "RequestType": request_type,
        "ResponseURL": "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/x",
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
        "RequestId": "1",
        "LogicalResourceId": "Cleanup",
        "ResourceProperties": {"Prefix": PREFIX, "LogGroups": [], "LogDays": "30", **properties},
    }


class Context:
    """A function's invocation that may take a while."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What CloudFormation is told."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(cloudformation, "_put", lambda url, body: sent.append(json.loads(body)))
    return sent


@pytest.fixture
def stack_status(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The status of the resource's stack; to be changed."""
    status = {"value": "DELETE_IN_PROGRESS"}

    class CloudFormation:
        def describe_stacks(self, **_: str) -> dict[str, Any]:
            return {"Stacks": [{"StackStatus": status["value"]}]}

    class Boto3:
        def client(self, service: str) -> CloudFormation:
            assert service == "cloudformation"
            return CloudFormation()

    monkeypatch.setattr(cloudformation, "boto3", Boto3())
    return status


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prefixes that were cleaned up after."""
    prefixes: list[str] = []
    monkeypatch.setattr(clean_up, "clean_up", lambda properties, clock: prefixes.append(properties["Prefix"]))
    return prefixes


@pytest.mark.parametrize("status", ["DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"])
def test_with_the_stack_goes_what_executions_made(
    status: str, answers: list[dict[str, Any]], stack_status: dict[str, str], cleaned: list[str]
) -> None:
    stack_status["value"] = status
    clean_up.handle(event("Delete", PauseSeconds="1"), Context())
    assert cleaned == [PREFIX]
    assert answers[0]["Status"] == "SUCCESS"


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_an_update_that_moves_the_resource_leaves_the_endpoint_alone(
    status: str, answers: list[dict[str, Any]], stack_status: dict[str, str], cleaned: list[str]
) -> None:
    stack_status["value"] = status
    clean_up.handle(event("Delete", PauseSeconds="1"), Context())
    assert cleaned == []
    assert answers[0]["Status"] == "SUCCESS"


def test_the_resource_s_id_never_changes(answers: list[dict[str, Any]]) -> None:
    clean_up.handle(event("Create"), Context())
    clean_up.handle(event("Update", LogDays="90"), Context())
    assert {answer["PhysicalResourceId"] for answer in answers} == {"pedigree-dev-cleanup"}


def test_a_failure_is_answered_with_its_reason(
    answers: list[dict[str, Any]], stack_status: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LeftBehindError("endpoint pedigree-dev stays " + "x" * 5000)

    monkeypatch.setattr(clean_up, "clean_up", fail)
    clean_up.handle(event("Delete", PauseSeconds="1"), Context())
    assert answers[0]["Status"] == "FAILED"
    assert answers[0]["Reason"].startswith("LeftBehindError: endpoint pedigree-dev stays")
    assert len(json.dumps(answers[0])) < 4096


def test_no_answer_is_sent_anywhere_but_over_tls() -> None:
    with pytest.raises(ValueError, match="no answer"):
        cloudformation._put("http://example.com", b"")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("pedigree-dev", True),
        ("pedigree-dev-abc-rehearsal", True),
        ("pedigree-dev2", False),
        ("pedigree-dev2-abc", False),
        ("my-pedigree-dev", False),
    ],
)
def test_only_the_stage_s_own_names_are_its(name: str, ours: bool) -> None:
    assert belongs(name, PREFIX) is ours


class Things:
    """Things of one kind, each busy for some looks."""

    def __init__(self, **busy: int) -> None:
        self.busy = busy
        self.asked: list[str] = []
        self.refuses: dict[str, ClientError] = {}

    def find(self) -> Mapping[str, str]:
        found = {name: "Updating" if looks > 0 else "" for name, looks in self.busy.items()}
        self.busy = {name: looks - 1 for name, looks in self.busy.items()}
        return found

    def delete(self, name: str) -> None:
        self.asked.append(name)
        if name in self.refuses:
            raise self.refuses[name]
        del self.busy[name]

    def kind(self, word: str = "endpoint") -> Kind:
        return Kind(word, self.find, self.delete)


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DeleteEndpoint")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Twenty seconds that pass at once."""
    now = {"value": 0.0}
    monkeypatch.setattr("infra.cleanup.sweep.time.monotonic", lambda: now["value"])
    monkeypatch.setattr(
        "infra.cleanup.sweep.time.sleep", lambda seconds: now.__setitem__("value", now["value"] + seconds)
    )
    return Clock(ends=20, pause_seconds=1)


def test_what_is_busy_is_waited_for(clock: Clock) -> None:
    things = Things(a=0, b=9)
    sweep([things.kind()], clock)
    assert things.asked == ["a", "b"]
    assert not things.busy


def test_what_is_gone_already_is_no_failure(clock: Clock) -> None:
    things = Things()
    sweep([things.kind()], clock)
    assert things.asked == []


def test_what_is_changed_between_look_and_deletion_is_tried_again(clock: Clock) -> None:
    things = Things(a=0)
    things.refuses["a"] = refusal("ValidationException", "Cannot update in-progress endpoint")

    def find() -> Mapping[str, str]:
        if len(things.asked) == 3:
            things.refuses.clear()
        return things.find()

    sweep([Kind("endpoint", find, things.delete)], clock)
    assert len(things.asked) == 4


def test_when_the_time_is_over_all_that_is_left_is_named(clock: Clock) -> None:
    endpoints, configs = Things(a=100), Things(c1=0, c2=0)
    with pytest.raises(LeftBehindError, match=r"endpoint a was Updating.* Left behind: endpoint a; config c1, c2\."):
        sweep([endpoints.kind(), configs.kind("config")], clock)
    # A configuration that a changing endpoint uses must stay.
    assert configs.asked == []


def test_a_missing_permission_is_told_at_once(clock: Clock) -> None:
    things = Things(a=0)
    things.refuses["a"] = refusal("AccessDeniedException", "not authorized to perform: sagemaker:DeleteEndpoint")
    with pytest.raises(LeftBehindError, match="not authorized to perform: sagemaker:DeleteEndpoint"):
        sweep([things.kind()], clock)
    assert things.asked == ["a"]


def test_what_may_not_be_listed_is_named_as_unknown(clock: Clock) -> None:
    def find() -> Mapping[str, str]:
        raise refusal("AccessDeniedException", "not authorized to perform: sagemaker:ListEndpoints")

    with pytest.raises(LeftBehindError, match="Left behind: perhaps any endpoint"):
        sweep([Kind("endpoint", find, print)], clock)


def stubbed(service: str) -> tuple[Any, Stubber]:
    make: Any = boto3.client
    client = make(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return client, Stubber(client)


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client, stub = stubbed("logs")
    monkeypatch.setattr(clean_up, "client", lambda service: client)
    with stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("groups", [[], [{"logGroupName": "/shared2", "retentionInDays": 1}]])
def test_a_shared_log_group_is_made_before_sagemaker_makes_it_without_a_limit(
    logs: Stubber, groups: list[dict[str, Any]]
) -> None:
    logs.add_response("describe_log_groups", {"logGroups": groups}, {"logGroupNamePrefix": "/shared"})
    logs.add_response("create_log_group", {}, {"logGroupName": "/shared"})
    logs.add_response("put_retention_policy", {}, {"logGroupName": "/shared", "retentionInDays": 30})
    clean_up.limit_log_group("/shared", 30)


def test_a_limit_that_somebody_chose_stays(logs: Stubber) -> None:
    group = {"logGroupName": "/shared", "retentionInDays": 365}
    logs.add_response("describe_log_groups", {"logGroups": [group]}, {"logGroupNamePrefix": "/shared"})
    clean_up.limit_log_group("/shared", 30)


def test_two_stages_may_make_the_shared_log_group_at_once(logs: Stubber) -> None:
    logs.add_response("describe_log_groups", {"logGroups": []}, {"logGroupNamePrefix": "/shared"})
    logs.add_client_error("create_log_group", "ResourceAlreadyExistsException")
    logs.add_response("put_retention_policy", {}, {"logGroupName": "/shared", "retentionInDays": 30})
    clean_up.limit_log_group("/shared", 30)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client, stub = stubbed("s3")
    monkeypatch.setattr(empty_buckets, "client", lambda service: client)
    with stub:
        yield stub
        stub.assert_no_pending_responses()


def test_a_bucket_that_is_gone_is_no_failure(s3: Stubber, clock: Clock) -> None:
    s3.add_client_error("get_bucket_policy", "NoSuchBucket")
    empty_buckets.empty(ARN, clock)


def _refuses_writes(s3: Stubber) -> None:
    s3.add_client_error("get_bucket_policy", "NoSuchBucketPolicy")
    s3.add_response("put_bucket_policy", {}, {"Bucket": "bucket", "Policy": ANY})
    s3.add_response("list_multipart_uploads", {}, {"Bucket": "bucket"})


def test_versions_and_delete_markers_go(s3: Stubber, clock: Clock) -> None:
    _refuses_writes(s3)
    page = {"Versions": [{"Key": "a", "VersionId": "1"}], "DeleteMarkers": [{"Key": "a", "VersionId": "2"}]}
    s3.add_response("list_object_versions", page, {"Bucket": "bucket", "MaxKeys": 1000})
    both = {"Objects": [{"Key": "a", "VersionId": "1"}, {"Key": "a", "VersionId": "2"}], "Quiet": True}
    s3.add_response("delete_objects", {}, {"Bucket": "bucket", "Delete": both})
    s3.add_response("list_object_versions", {}, {"Bucket": "bucket", "MaxKeys": 1000})
    empty_buckets.empty(ARN, clock)


def test_an_object_that_s3_keeps_is_named(s3: Stubber, clock: Clock) -> None:
    _refuses_writes(s3)
    s3.add_response("list_object_versions", {"Versions": [{"Key": "a", "VersionId": "1"}]})
    s3.add_response("delete_objects", {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "no"}]})
    with pytest.raises(LeftBehindError, match="s3://bucket/a stays: AccessDenied"):
        empty_buckets.empty(ARN, clock)


def test_a_bucket_too_large_for_one_invocation_says_so(s3: Stubber) -> None:
    _refuses_writes(s3)
    s3.add_response("list_object_versions", {"Versions": [{"Key": "a", "VersionId": "1"}]})
    s3.add_response("delete_objects", {})
    with pytest.raises(LeftBehindError, match=r"s3://bucket holds more than 1 objects.* again"):
        empty_buckets.empty(ARN, Clock(ends=0, pause_seconds=0))


def test_nothing_is_written_into_a_bucket_that_is_emptied_and_its_policy_is_kept(
    s3: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = {"Sid": "Tls", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": [ARN, f"{ARN}/*"]}
    policy = {"Version": "2012-10-17", "Statement": [tls]}
    for _ in range(2):  # a second attempt adds nothing
        s3.add_response("get_bucket_policy", {"Policy": json.dumps(policy)}, {"Bucket": "bucket"})
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                tls,
                {
                    "Sid": "NoMoreWrites",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:PutObject",
                    "Resource": f"{ARN}/*",
                },
            ],
        }
        s3.add_response("put_bucket_policy", {}, {"Bucket": "bucket", "Policy": json.dumps(policy)})
        empty_buckets.refuse_writes("bucket", ARN)


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_buckets_are_emptied_with_their_stack_only(
    request_type: str, answers: list[dict[str, Any]], stack_status: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[str] = []
    monkeypatch.setattr(empty_buckets, "empty", lambda arn, clock: emptied.append(arn))
    empty_buckets.handle(event(request_type, Name="n", Buckets=[ARN]), Context())
    stack_status["value"] = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    empty_buckets.handle(event("Delete", Name="n", Buckets=[ARN]), Context())
    assert emptied == []
    stack_status["value"] = "DELETE_IN_PROGRESS"
    empty_buckets.handle(event("Delete", Name="n", Buckets=[ARN]), Context())
    assert emptied == [ARN]
    assert [answer["Status"] for answer in answers] == ["SUCCESS"] * 3
