"""Buckets that are deleted with their stack: emptied to the last version, and never otherwise."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from infra.cleanup import empty_buckets
from infra.cleanup.sweep import Clock, LeftBehindError
from tests.infra.custom_resource import Context, event, stubbed

ARN = "arn:aws:s3:::bucket"


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
