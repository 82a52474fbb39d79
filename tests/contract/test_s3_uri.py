"""Addresses in S3."""

import pytest

from contract.s3_uri import S3Uri


@pytest.mark.parametrize("key", ["", "a/b.jpg", "a/b#c?d=e%20.jpg", "/a//b/"])
def test_a_key_is_kept_as_it_is(key: str) -> None:
    assert S3Uri.parse(f"s3://bucket/{key}") == S3Uri("bucket", key)


@pytest.mark.parametrize("uri", ["https://bucket/key", "s3:///key", "bucket/key", ""])
def test_what_is_no_s3_uri_is_named(uri: str) -> None:
    with pytest.raises(ValueError, match="is no S3 URI"):
        S3Uri.parse(uri)


def test_uris_are_joined_without_doubled_slashes() -> None:
    assert str(S3Uri.parse("s3://bucket/a/") / "b") == "s3://bucket/a/b"
    assert str(S3Uri.parse("s3://bucket") / "b") == "s3://bucket/b"
