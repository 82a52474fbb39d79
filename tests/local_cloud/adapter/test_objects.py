"""What S3 asks for besides the named permission: KMS keys, the right to list, the right to compare."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.adapter.conftest import Actor
from tests.local_cloud.conftest import RunningCloud, allow

Act = Callable[..., Actor]
_OBJECTS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


@pytest.fixture(scope="module")
def key(cloud: RunningCloud) -> str:
    arn: str = cloud.client("kms").create_key(Description="test")["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def bucket(cloud: RunningCloud, key: str) -> str:
    """A bucket whose objects are encrypted with the key, made from a template, and that holds one."""
    s3, stacks = cloud.client("s3"), cloud.client("cloudformation")
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    encryption = {"ServerSideEncryptionConfiguration": [rule]}
    made = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "encrypted", "BucketEncryption": encryption}}
    stacks.create_stack(StackName="encrypted", TemplateBody=json.dumps({"Resources": {"Bucket": made}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="encrypted", WaiterConfig={"Delay": 1})
    s3.put_object(Bucket="encrypted", Key="there", Body=b"content")
    return "encrypted"


def _refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    return str(refused.value.response["Error"]["Message"])


def test_who_writes_encrypted_objects_needs_a_data_key(act: Act, bucket: str, key: str) -> None:
    actor = act(allow(_OBJECTS), allow("kms:Decrypt", key))
    message = _refusal(lambda: actor.client("s3").put_object(Bucket=bucket, Key="a", Body=b""))
    assert f"not authorized to perform: kms:GenerateDataKey on resource: {key} because" in message


def test_who_reads_encrypted_objects_needs_decryption(act: Act, bucket: str, key: str) -> None:
    actor = act(allow(_OBJECTS), allow("kms:GenerateDataKey", key))
    message = _refusal(lambda: actor.client("s3").get_object(Bucket=bucket, Key="there"))
    assert f"not authorized to perform: kms:Decrypt on resource: {key} because" in message


def test_with_the_key_objects_are_written_and_read(act: Act, bucket: str, key: str) -> None:
    actor = act(allow(_OBJECTS), allow(["kms:Decrypt", "kms:GenerateDataKey"], key))
    actor.client("s3").put_object(Bucket=bucket, Key="a", Body=b"content")
    assert actor.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"
    asked = {each.action: each.context for each in actor.trail() if each.action.startswith("kms:")}
    assert asked.keys() == {"kms:GenerateDataKey", "kms:Decrypt"}
    assert asked["kms:Decrypt"]["kms:viaservice"] == "s3.us-east-1.amazonaws.com"


def test_an_upload_in_parts_needs_decryption_as_well(act: Act, bucket: str, key: str) -> None:
    s3 = act(allow(_OBJECTS), allow("kms:GenerateDataKey", key)).client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    message = _refusal(lambda: s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x"))
    assert "kms:Decrypt" in message


def test_describing_and_deleting_need_no_key(act: Act, cloud: RunningCloud, bucket: str) -> None:
    cloud.client("s3").put_object(Bucket=bucket, Key="old", Body=b"")
    s3 = act(allow(_OBJECTS)).client("s3")
    assert s3.head_object(Bucket=bucket, Key="old")["SSEKMSKeyId"]
    s3.delete_object(Bucket=bucket, Key="old")


def test_the_key_policy_must_allow_it_as_well(act: Act, cloud: RunningCloud, bucket: str) -> None:
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*", '
        '"Principal": {"AWS": "arn:aws:iam::000000000000:user/developer"}}]}'
    )
    private = cloud.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    actor = act(allow(_OBJECTS), allow(["kms:Decrypt", "kms:GenerateDataKey"]))
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": private}
    message = _refusal(lambda: actor.client("s3").put_object(Bucket=bucket, Key="p", Body=b"", **encryption))
    assert "kms:GenerateDataKey" in message


def test_a_missing_object_is_hidden_from_who_may_not_list(act: Act, bucket: str) -> None:
    s3 = act(allow(_OBJECTS)).client("s3")
    message = _refusal(lambda: s3.get_object(Bucket=bucket, Key="missing"))
    assert f's3:ListBucket on resource: "arn:aws:s3:::{bucket}"' in message
    with pytest.raises(ClientError, match="403"):
        s3.head_object(Bucket=bucket, Key="missing")


def test_a_missing_object_is_named_to_who_may_list(act: Act, bucket: str) -> None:
    s3 = act(allow(_OBJECTS), allow("s3:ListBucket")).client("s3")
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="missing")


def test_to_compare_an_object_is_to_read_it(act: Act, cloud: RunningCloud, bucket: str, key: str) -> None:
    etag = cloud.client("s3").put_object(Bucket=bucket, Key="compared", Body=b"")["ETag"]
    s3 = act(allow("s3:PutObject"), allow("kms:GenerateDataKey", key)).client("s3")
    message = _refusal(lambda: s3.put_object(Bucket=bucket, Key="compared", Body=b"", IfMatch=etag))
    assert "s3:GetObject" in message


def test_a_bucket_with_a_key_of_awss_own_asks_for_none(act: Act, cloud: RunningCloud) -> None:
    encryption = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    made = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "awss-own", "BucketEncryption": encryption}}
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="awss-own", TemplateBody=json.dumps({"Resources": {"Bucket": made}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="awss-own", WaiterConfig={"Delay": 1})
    act(allow("s3:PutObject")).client("s3").put_object(Bucket="awss-own", Key="a", Body=b"")
