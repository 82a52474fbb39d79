import json
from pathlib import Path

import pytest

from local_cloud.settings import LocalCloudError
from local_cloud.state import StateDirectory


def test_a_second_local_cloud_is_kept_out(tmp_path: Path) -> None:
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path)
    first.acquire()
    with pytest.raises(LocalCloudError, match="another local cloud"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_what_a_killed_predecessor_left_is_removed(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.connection.write_text("{}")
    (state.temporary / "worker").mkdir(parents=True)
    state.acquire()
    assert not state.connection.exists()
    assert list(state.temporary.iterdir()) == []
    state.release()


def test_credentials_outlive_a_restart_and_are_for_their_owner_only(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    assert state.credentials() == StateDirectory(tmp_path).credentials()
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_the_connection_is_announced_and_withdrawn(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.acquire()
    state.announce({"pid": 1})
    assert json.loads(state.connection.read_text()) == {"pid": 1}
    state.release()
    assert not state.connection.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalCloudError, match="choose a folder you can write to"):
        StateDirectory(tmp_path / "file").acquire()
