import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody

from console import results
from console.errors import ConsoleError
from tests.console.fakes import FakeCloud


def _archive(*members: tuple[str, bytes, bytes]) -> bytes:
    """Return a tar.gz of (name, type, content)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            packed.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _body(content: bytes) -> dict[str, Any]:
    return {"Body": StreamingBody(io.BytesIO(content), len(content)), "ContentLength": len(content)}


def _serve(cloud: FakeCloud, archive: bytes, manifest: bytes, photo: bytes | None = None) -> None:
    s3 = cloud.stub("s3")
    key = {"Bucket": "bucket", "Key": "models/job/output/output.tar.gz"}
    s3.add_response("head_object", {"ContentLength": len(archive), "ETag": '"e"'}, key)
    s3.add_response("get_object", _body(archive) | {"ETag": '"e"'})
    manifest_key = {"Bucket": "bucket", "Key": "prepared/job/output/model/manifest.json"}
    s3.add_response("get_object", _body(manifest), manifest_key)
    if photo is not None:
        s3.add_response("get_object", _body(photo), {"Bucket": "bucket", "Key": "prepared/test/a/1.jpg"})


OUTPUT = {
    "output_uri": "s3://bucket/models/job/output/output.tar.gz",
    "prepared_uri": "s3://bucket/prepared/job/output/model/",
    "sample": {"photo": "s3://bucket/prepared/test/a/1.jpg"},
}


def test_metrics_manifest_report_and_photo_are_brought(cloud: FakeCloud, tmp_path: Path) -> None:
    archive = _archive(
        ("./metrics.json", tarfile.REGTYPE, b'{"backbone": "resnet50"}'), ("report.html", tarfile.REGTYPE, b"<html>")
    )
    _serve(cloud, archive, json.dumps({"photos_left_out": []}).encode(), b"jpeg")
    found = results.fetch(cloud, OUTPUT, tmp_path, "bucket")
    assert found.metrics == {"backbone": "resnet50"}
    assert found.manifest == {"photos_left_out": []}
    assert (tmp_path / "report.html").read_bytes() == b"<html>"
    assert (tmp_path / "sample.jpg").read_bytes() == b"jpeg"


def test_links_and_paths_that_lead_elsewhere_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "output.tar.gz").write_bytes(
        _archive(
            ("report.html", tarfile.SYMTYPE, b""),
            ("../metrics.json", tarfile.REGTYPE, b"{}"),
            ("/report.html", tarfile.REGTYPE, b"x"),
            ("deep/report.html", tarfile.REGTYPE, b"x"),
        )
    )
    assert results.read_members(tmp_path / "output.tar.gz", ("metrics.json", "report.html")) == {}


def test_a_member_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_MAX_MEMBER_BYTES", 10)
    (tmp_path / "output.tar.gz").write_bytes(_archive(("report.html", tarfile.REGTYPE, b"x" * 11)))
    with pytest.raises(ConsoleError, match="11 bytes"):
        results.read_members(tmp_path / "output.tar.gz", ("report.html",))


def test_an_archive_without_a_report_leaves_none(cloud: FakeCloud, tmp_path: Path) -> None:
    _serve(cloud, _archive(("metrics.json", tarfile.REGTYPE, b"{}")), b"{}")
    found = results.fetch(cloud, OUTPUT | {"sample": None}, tmp_path, "bucket")
    assert found.report is None
    assert list(tmp_path.iterdir()) == []


def test_a_uri_is_bucket_and_key() -> None:
    assert results.parse_uri("s3://bucket/a/b#c.jpg") == ("bucket", "a/b#c.jpg")


@pytest.mark.parametrize("uri", ["", "bucket/key", "https://bucket/key", "s3://bucket", "s3:///key"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(ConsoleError):
        results.parse_uri(uri)
