"""Custom resource of the data: buckets that are deleted with their stack are emptied before."""

import json
import logging
from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.cleanup.cloudformation import answer, is_stack_ending
from infra.cleanup.kinds import client
from infra.cleanup.sweep import Clock, LeftBehindError

logging.getLogger().setLevel(logging.INFO)
_logger: Final = logging.getLogger("pedigree")
_MAX_KEYS: Final = 1000


def handle(event: dict[str, Any], context: Any) -> None:
    """Empty the buckets when the stack is deleted. Properties of the resource: Name, Buckets (their ARNs)."""
    properties = event["ResourceProperties"]

    def work() -> None:
        if event["RequestType"] == "Delete" and is_stack_ending(event):
            for bucket_arn in properties["Buckets"]:
                empty(bucket_arn, Clock.of(context, 0))

    answer(event, properties["Name"], work)


def empty(bucket_arn: str, clock: Clock) -> None:
    """Delete every version of every object, and every upload that was not finished.

    Raises:
        LeftBehindError: the time is over, or S3 refused to delete some.
    """
    bucket = bucket_arn.rpartition(":")[2]
    try:
        refuse_writes(bucket, bucket_arn)
        for upload in _uploads(bucket):
            client("s3").abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        _delete_versions(bucket, clock)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        _logger.info("%s is gone already", bucket)


def refuse_writes(bucket: str, bucket_arn: str) -> None:
    """Let nobody write any more: access logs arrive hours late, and a bucket with one object cannot be deleted."""
    s3 = client("s3")
    try:
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        policy = {"Version": "2012-10-17", "Statement": []}
    deny = {
        "Sid": "NoMoreWrites",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
    }
    others = [statement for statement in policy["Statement"] if statement.get("Sid") != deny["Sid"]]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy | {"Statement": [*others, deny]}))


def _delete_versions(bucket: str, clock: Clock) -> None:
    s3 = client("s3")
    deleted = 0
    while versions := _first_versions(bucket):
        answered = s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
        if errors := answered.get("Errors"):
            first = errors[0]
            raise LeftBehindError(f"s3://{bucket}/{first['Key']} stays: {first['Code']}: {first.get('Message', '')}")
        deleted += len(versions)
        if not clock.pause():
            raise LeftBehindError(f"s3://{bucket} holds more than {deleted} objects, too many for once. Try again.")
    _logger.info("%s is empty: %d versions deleted", bucket, deleted)


def _first_versions(bucket: str) -> list[dict[str, str]]:
    page = client("s3").list_object_versions(Bucket=bucket, MaxKeys=_MAX_KEYS)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


def _uploads(bucket: str) -> Iterator[dict[str, Any]]:
    for page in client("s3").get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        yield from page.get("Uploads", [])
