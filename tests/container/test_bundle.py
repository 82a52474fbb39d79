"""What is accepted as a source bundle, and what is said about the rest."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from container.bundle import fetch, find_program, unpack
from container.errors import LaunchError

MakeTarGz = Callable[[Mapping[str, str]], bytes]


def archive_of(member: tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("good.py"))
        tar.addfile(member)
    buffer.seek(0)
    return buffer


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def test_a_bundle_replaces_what_was_there(tmp_path: Path, make_tar_gz: MakeTarGz) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "old.py").touch()
    unpack(io.BytesIO(make_tar_gz({"training/hpo.py": "print()"})), code, "the bundle")
    assert [path.name for path in code.iterdir()] == ["training"]
    assert (code / "training" / "hpo.py").read_text() == "print()"
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


@pytest.mark.parametrize(
    "unsafe",
    [
        member("/etc/cron.d/job"),
        member("../outside.py"),
        member("training/../../outside.py"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "good.py"),
        member("hard", tarfile.LNKTYPE, "good.py"),
        member("pipe", tarfile.FIFOTYPE),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda unsafe: f"{unsafe.name}-{unsafe.type!r}",
)
def test_an_unsafe_member_is_refused_and_nothing_is_unpacked(tmp_path: Path, unsafe: tarfile.TarInfo) -> None:
    with pytest.raises(LaunchError, match="nothing was unpacked"):
        unpack(archive_of(unsafe), tmp_path / "ml" / "code", "the bundle")
    assert list((tmp_path / "ml").iterdir()) == []
    assert not (tmp_path / "outside.py").exists()


def test_a_zip_is_told_what_aws_expects(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("training/hpo.py", "print()")
    buffer.seek(0)
    with pytest.raises(LaunchError, match=r"it is a zip file; SageMaker expects a gzip-compressed tar"):
        unpack(buffer, tmp_path / "code", "the bundle")


@pytest.mark.parametrize("content", [b"", b"print('hello')", b"\x1f\x8b rubbish"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LaunchError, match=r"the bundle cannot be unpacked: .*gzip-compressed tar archive"):
        unpack(io.BytesIO(content), tmp_path / "code", "the bundle")


def test_a_truncated_bundle_is_refused(tmp_path: Path, make_tar_gz: MakeTarGz) -> None:
    whole = make_tar_gz({"training/hpo.py": "".join(map(str, range(20_000)))})
    with pytest.raises(LaunchError, match="damaged or incomplete"):
        unpack(io.BytesIO(whole[: len(whole) // 2]), tmp_path / "code", "the bundle")


def test_a_missing_program_is_answered_with_what_the_bundle_holds(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "setup.py").touch()
    with pytest.raises(LaunchError, match=r"'training/hpo\.py' is not in .*at its root: setup\.py, training/$"):
        find_program(tmp_path, "training/hpo.py")


def test_a_program_outside_the_bundle_is_refused(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (tmp_path / "other.py").touch()
    with pytest.raises(LaunchError, match="a path within the source bundle expected"):
        find_program(code, "../other.py")


@pytest.mark.parametrize("uri", ["", "sourcedir.tar.gz", "https://bucket/sourcedir.tar.gz", "s3://bucket", "s3:///key"])
def test_an_address_that_is_no_s3_object_is_refused(uri: str) -> None:
    with pytest.raises(LaunchError, match=r"s3://bucket/path/sourcedir\.tar\.gz expected"):
        fetch(uri, io.BytesIO(), "us-east-1")
