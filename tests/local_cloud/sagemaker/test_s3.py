import os
import tarfile
from pathlib import Path

import pytest

from contract.s3_uri import S3Uri
from local_cloud.sagemaker.archives import pack, unpack
from local_cloud.sagemaker.errors import JobError
from local_cloud.sagemaker.s3 import download_prefix, s3_uri
from tests.local_cloud.sagemaker.stand_in import MemoryS3


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("photos", {"a/1.jpg", "2.jpg", "photos-of-cats/3.jpg"}),
        ("photos/", {"a/1.jpg", "2.jpg"}),
        ("photos/2.jpg", {"2.jpg"}),
        ("", {"photos/a/1.jpg", "photos/2.jpg", "photos-of-cats/3.jpg"}),
    ],
)
def test_a_prefix_is_laid_out_as_in_sagemakers_file_mode(
    s3: MemoryS3, tmp_path: Path, prefix: str, expected: set[str]
) -> None:
    for key in ("photos/a/1.jpg", "photos/2.jpg", "photos-of-cats/3.jpg"):
        s3.objects[f"bucket/{key}"] = b"x"
    assert download_prefix(s3, S3Uri("bucket", prefix), tmp_path) == len(expected)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == expected


def test_what_is_no_s3_uri_fails_the_job_by_name() -> None:
    with pytest.raises(JobError, match=r"^ClientError: 'https://bucket/key' is no S3 URI"):
        s3_uri("https://bucket/key")


def test_an_archive_keeps_contents_and_modes_and_leaves_out_links_that_lead_away(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "code").mkdir(parents=True)
    (model / "code" / "run").write_text("run")
    (model / "code" / "run").chmod(0o755)
    (model / "same").symlink_to("code/run")
    (tmp_path / "secret").write_text("secret")
    (model / "away").symlink_to(tmp_path / "secret")
    pack(model, tmp_path / "model.tar.gz")
    unpack(tmp_path / "model.tar.gz", tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"code/run", "same"}
    assert os.access(tmp_path / "out" / "code" / "run", os.X_OK)


def test_an_archive_entry_cannot_be_a_link_out_of_its_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(JobError, match="failed to extract"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")
