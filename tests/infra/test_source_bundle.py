"""Which revision a source bundle says it is of."""

import subprocess
from pathlib import Path

import pytest

from infra.source_bundle import PACKAGES, source_revision


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "bundle.tar.gz").write_bytes(b"packed")
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "code.py").write_text("")
    return tmp_path


def commit_all(root: Path) -> str:
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "code")
    return git(root, "rev-parse", "HEAD")


def test_committed_code_is_named_by_its_commit(root: Path) -> None:
    commit = commit_all(root)
    assert source_revision(root / "bundle.tar.gz", root) == commit


def test_a_commit_of_other_code_does_not_count(root: Path) -> None:
    commit = commit_all(root)
    (root / "README.md").write_text("news")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "words")
    assert source_revision(root / "bundle.tar.gz", root) == commit


def test_changed_code_is_named_by_the_bundle_s_hash(root: Path) -> None:
    commit_all(root)
    (root / PACKAGES[0] / "code.py").write_text("changed")
    assert source_revision(root / "bundle.tar.gz", root).startswith("sha256:")


def test_code_without_a_repository_is_named_by_the_bundle_s_hash(root: Path) -> None:
    assert source_revision(root / "bundle.tar.gz", root).startswith("sha256:")
