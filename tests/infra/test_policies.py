"""IAM statements."""

import pytest

from infra.policies import allow, read_write

_BUCKET = "arn:aws:s3:::bucket"
_KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


@pytest.mark.parametrize("action", ["s3:*", "s3:Get*", "*"])
def test_a_wildcard_action_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match="Read: name the actions instead of"):
        allow([action], ["arn:aws:s3:::bucket/*"], sid="Read")


def test_a_reader_of_an_encrypted_bucket_may_decrypt_and_no_more() -> None:
    statements = read_write(_BUCKET, read=["models/*"], sid="Bucket", key_arn=_KEY)
    of_the_key = {each.sid: each.actions for each in statements if each.resources == [_KEY]}
    assert of_the_key == {"BucketDecrypt": ["kms:Decrypt"]}


def test_a_writer_to_an_encrypted_bucket_may_get_data_keys() -> None:
    statements = read_write(_BUCKET, read=["models/*"], write=["models/*"], sid="Bucket", key_arn=_KEY)
    of_the_key = {each.sid: each.actions for each in statements if each.resources == [_KEY]}
    assert of_the_key == {"BucketDecrypt": ["kms:Decrypt"], "BucketEncrypt": ["kms:GenerateDataKey"]}


def test_a_bucket_without_a_key_of_its_own_needs_no_kms() -> None:
    statements = read_write(_BUCKET, read=["models/*"], write=["models/*"])
    assert not [action for each in statements for action in each.actions if action.startswith("kms:")]


def test_an_action_that_has_smaller_resources_is_refused_on_everything() -> None:
    with pytest.raises(ValueError, match="Read: name the resources of s3:GetObject"):
        allow(["s3:GetObject", "xray:PutTraceSegments"], ["*"], sid="Read")
