"""Bundles: same sources, same bytes."""

import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from infra.bundles import ROOT, write_source_bundle, write_zip
from infra.source_bundle import PACKAGES


@pytest.fixture
def source(tmp_path: Path) -> Path:
    package = tmp_path / "source" / "contract"
    (package / "inner").mkdir(parents=True)
    (package / "b.py").write_text("b = 1\n", encoding="utf-8")
    (package / "a.py").write_text("a = 1\n", encoding="utf-8")
    (package / "inner" / "c.json").write_text("{}", encoding="utf-8")
    return package.parent


def test_two_builds_of_the_source_bundle_are_identical_byte_for_byte(tmp_path: Path) -> None:
    first = write_source_bundle(tmp_path / "1.tar.gz", PACKAGES)
    copy = tmp_path / "copy"
    for package in reversed(PACKAGES):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in copy.rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o777)
    second = write_source_bundle(tmp_path / "other.tar.gz", PACKAGES, root=copy)
    assert first.read_bytes() == second.read_bytes()


def test_two_builds_of_a_lambda_zip_are_identical_byte_for_byte(source: Path, tmp_path: Path) -> None:
    handler = source / "contract" / "a.py"
    first = write_zip(tmp_path / "1.zip", files={"handler.py": handler}, packages=["contract"], root=source)
    os.utime(handler, (1, 1))
    second = write_zip(tmp_path / "2.zip", files={"handler.py": handler}, packages=["contract"], root=source)
    assert first.read_bytes() == second.read_bytes()
    assert zipfile.ZipFile(first).namelist() == [
        "contract/a.py",
        "contract/b.py",
        "contract/inner/c.json",
        "handler.py",
    ]


def test_a_changed_file_changes_the_bundle(source: Path, tmp_path: Path) -> None:
    before = write_source_bundle(tmp_path / "1.tar.gz", ["contract"], root=source).read_bytes()
    (source / "contract" / "a.py").write_text("a = 2\n", encoding="utf-8")
    assert write_source_bundle(tmp_path / "1.tar.gz", ["contract"], root=source).read_bytes() != before


def test_the_work_of_interpreters_and_editors_is_left_out(source: Path, tmp_path: Path) -> None:
    package = source / "contract"
    for name in ("__pycache__/a.cpython-311.pyc", ".DS_Store", "old.pyc", ".idea/x.xml"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("x", encoding="utf-8")
    bundle = write_source_bundle(tmp_path / "1.tar.gz", ["contract"], root=source)
    with tarfile.open(bundle) as archive:
        assert archive.getnames() == ["contract/a.py", "contract/b.py", "contract/inner/c.json"]


def test_entries_belong_to_nobody_and_to_no_time(source: Path, tmp_path: Path) -> None:
    bundle = write_source_bundle(tmp_path / "1.tar.gz", ["contract"], root=source)
    with tarfile.open(bundle) as archive:
        assert {(entry.uid, entry.gid, entry.mtime, entry.uname) for entry in archive} == {(0, 0, 0, "")}


def test_a_missing_package_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the bundle needs the package vision"):
        write_source_bundle(tmp_path / "1.tar.gz", ["vision"], root=source)


def test_nothing_half_written_stays_behind(source: Path, tmp_path: Path) -> None:
    write_source_bundle(tmp_path / "out" / "1.tar.gz", ["contract"], root=source)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["1.tar.gz"]
