import io
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError

from training.archive import Limits
from training.bucket import fetch_from_bucket
from training.errors import PhotosError


class Body(io.BytesIO):
    """An object's content that breaks off the first ``breaks`` times."""

    breaks = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if Body.breaks:
            Body.breaks -= 1
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)
        return super().read(size)


class Bucket:
    """The few operations of an S3 client that are used, on a dictionary."""

    def __init__(self, objects: dict[str, bytes], error: Exception | None = None) -> None:
        self.objects, self.error = objects, error

    def get_paginator(self, operation: str) -> "Bucket":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **request: str) -> list[dict[str, Any]]:
        self._fail()
        found = [k for k in sorted(self.objects) if k.startswith(request["Prefix"])]
        pages = [found[i : i + 2] for i in range(0, len(found), 2)] or [[]]
        return [{"Contents": [{"Key": k, "Size": len(self.objects[k])} for k in p]} if p else {} for p in pages]

    def get_object(self, **request: str) -> dict[str, Any]:
        return {"Body": Body(self.objects[request["Key"]])}

    def download_file(self, bucket: str, key: str, path: str) -> None:
        self._fail()
        Path(path).write_bytes(self.objects[key])

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bucket: Bucket, uri: str, limits: Limits | None = None
) -> Path:
    monkeypatch.setattr("boto3.client", lambda *_args, **_options: bucket)
    return fetch_from_bucket(uri, tmp_path / "got", lambda _: None, limits)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "ListObjectsV2")


def test_all_objects_below_a_prefix_are_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    objects = {f"dogs/train/Pug/{i}.jpg": bytes([i]) for i in range(20)} | {"dogs2/train/Pug/x.jpg": b"other"}
    folder = fetch(monkeypatch, tmp_path, Bucket(objects), "s3://bucket/dogs")
    assert len(list(folder.rglob("*.jpg"))) == 20
    assert (folder / "train" / "Pug" / "7.jpg").read_bytes() == b"\x07"


def test_folder_markers_and_hidden_objects_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    objects = {"dogs/": b"", "dogs/Pug/": b"", "dogs/Pug/.DS_Store": b"x", "dogs/Pug/1.jpg": b"x"}
    folder = fetch(monkeypatch, tmp_path, Bucket(objects), "s3://bucket/dogs/")
    assert [p.name for p in folder.rglob("*") if p.is_file()] == ["1.jpg"]


def test_a_zip_is_fetched_as_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = fetch(monkeypatch, tmp_path, Bucket({"datasets/a.zip": b"zip"}), "s3://bucket/datasets/a.zip")
    assert found.read_bytes() == b"zip"


def test_an_object_that_breaks_off_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Body, "breaks", 2)
    folder = fetch(monkeypatch, tmp_path, Bucket({"dogs/Pug/1.jpg": b"x"}), "s3://bucket/dogs")
    assert (folder / "Pug" / "1.jpg").read_bytes() == b"x"


def test_a_connection_that_stays_lost_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Body, "breaks", 99)
    with pytest.raises(PhotosError, match="check credentials, region and network"):
        fetch(monkeypatch, tmp_path, Bucket({f"dogs/Pug/{i}.jpg": b"x" for i in range(40)}), "s3://bucket/dogs")


def test_a_key_that_leads_outside_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="has an unsafe name"):
        fetch(monkeypatch, tmp_path, Bucket({"dogs/../../evil.jpg": b"x"}), "s3://bucket/dogs")
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_prefix_without_objects_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="s3://bucket/dogs/ holds no objects"):
        fetch(monkeypatch, tmp_path, Bucket({}), "s3://bucket/dogs")


def test_no_bucket_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="names no bucket"):
        fetch(monkeypatch, tmp_path, Bucket({}), "s3:///dogs")


@pytest.mark.parametrize("limits", [Limits(files=1), Limits(total_bytes=1)])
def test_limits_hold_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limits: Limits
) -> None:
    with pytest.raises(PhotosError, match="holds 2 objects of 2 bytes; at most"):
        fetch(monkeypatch, tmp_path, Bucket({"dogs/1.jpg": b"x", "dogs/2.jpg": b"x"}), "s3://bucket/dogs", limits)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (client_error("NoSuchBucket"), "was not found .NoSuchBucket."),
        (client_error("AccessDenied"), "may not be read .AccessDenied.: give the job's role s3:GetObject"),
        (client_error("SlowDown"), "cannot be read"),
        (EndpointConnectionError(endpoint_url="https://x"), "check credentials, region and network"),
    ],
)
def test_what_s3_refuses_is_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, message: str
) -> None:
    with pytest.raises(PhotosError, match=message):
        fetch(monkeypatch, tmp_path, Bucket({}, error), "s3://bucket/dogs.zip")
