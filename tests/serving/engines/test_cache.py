import os
from pathlib import Path

import pytest

from contract.names import ArtifactFile
from serving.engines import cache
from serving.engines.cache import EngineCache, cache_key, engines_folder, opened


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which the user's cache and temporary files lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "artifact").mkdir()
    return tmp_path


def test_engines_are_kept_in_the_artifact_where_that_may_be_written(homes: Path) -> None:
    assert engines_folder(homes / "artifact") == homes / "artifact" / "engines"


def test_else_in_the_users_cache_and_else_in_a_temporary_folder_and_else_nowhere(homes: Path) -> None:
    (homes / "artifact").rmdir()
    (homes / "artifact").write_text("where no folder can be made")
    assert engines_folder(homes / "artifact") == homes / "xdg" / "pedigree" / "engines"
    (homes / "xdg" / "pedigree" / "engines").rmdir()
    (homes / "xdg" / "pedigree" / "engines").write_text("")
    temporary = homes / "tmp" / f"pedigree-engines-{os.geteuid()}"
    assert engines_folder(homes / "artifact") == temporary
    temporary.rmdir()
    temporary.write_text("")
    assert engines_folder(homes / "artifact") is None


def test_a_user_without_a_home_has_the_temporary_folder(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    (homes / "artifact").rmdir()
    (homes / "artifact").write_text("where no folder can be made")
    assert engines_folder(homes / "artifact") == homes / "tmp" / f"pedigree-engines-{os.geteuid()}"


def test_a_folder_that_others_may_write_to_or_that_is_a_link_is_not_used(homes: Path) -> None:
    others = homes / "artifact" / "engines"
    others.mkdir()
    others.chmod(0o777)
    assert engines_folder(homes / "artifact") == homes / "xdg" / "pedigree" / "engines"
    others.rmdir()
    others.symlink_to(homes / "tmp")
    assert engines_folder(homes / "artifact") == homes / "xdg" / "pedigree" / "engines"


@pytest.mark.parametrize("name", [ArtifactFile.WEIGHTS, ArtifactFile.CHECK, ArtifactFile.INT8, "int8.bin"])
def test_other_networks_have_another_key(tmp_path: Path, name: str) -> None:
    before = cache_key(tmp_path)
    (tmp_path / name).write_bytes(b"one")
    one = cache_key(tmp_path)
    (tmp_path / name).write_bytes(b"two")
    assert len({before, one, cache_key(tmp_path)}) == 3


@pytest.mark.parametrize("fact", ["available_cores", "_processor", "_version"])
def test_other_machines_and_versions_have_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fact: str
) -> None:
    before = cache_key(tmp_path)
    monkeypatch.setattr(cache, fact, lambda *_: "another")
    assert cache_key(tmp_path) != before


def test_what_is_kept_is_taken_once(tmp_path: Path) -> None:
    kept = EngineCache(tmp_path)
    kept.keep("auto", {"a": 1})
    assert kept.take("eager") is None
    assert kept.take("auto") == {"a": 1}
    assert kept.take("auto") is None


def test_without_a_folder_nothing_is_kept() -> None:
    with opened(None, "key") as kept:
        kept.keep("auto", {"a": 1})
        kept.clear()
        assert kept.take("auto") is None


def test_a_folder_that_cannot_be_written_does_not_stop_a_start(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no folder")
    with opened(tmp_path, "key") as kept:
        assert kept.folder is None


def test_clearing_leaves_nothing_but_the_lock(tmp_path: Path) -> None:
    with opened(tmp_path, "key") as kept:
        assert kept.folder is not None
        kept.keep("auto", {})
        (kept.folder / "inductor").mkdir()
        (kept.folder / "inductor" / "code.so").write_bytes(b"")
        kept.clear()
        assert [path.name for path in kept.folder.iterdir()] == ["lock"]
