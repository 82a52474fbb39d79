import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from console.files import read_json, replacing, write_json
from console.interrupts import Interrupted, caught


def test_json_is_written_and_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "b.json", {"breed": "Löwchen"})
    assert read_json(tmp_path / "a" / "b.json") == {"breed": "Löwchen"}


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("former")
    with pytest.raises(OSError, match="disk full"):
        _write_half(path)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("hal")
        raise OSError("disk full")


def test_who_stops_it_when_its_file_has_just_been_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkstemp

    def interrupted(**given: Any) -> tuple[int, str]:
        made = make(**given)
        os.kill(os.getpid(), signal.SIGINT)
        return made

    monkeypatch.setattr(tempfile, "mkstemp", interrupted)
    with caught(), pytest.raises(Interrupted):
        write_json(tmp_path / "a.json", {})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_broken_json_file_reads_as_none(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None
    (tmp_path / "half.json").write_text('{"a": ')
    assert read_json(tmp_path / "half.json") is None
