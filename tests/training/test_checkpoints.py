from pathlib import Path

import pytest
import torch

from training.checkpoints import Checkpoints

IDENTITY = {"fingerprint": "abc", "seed": 0}


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def checkpoints(tmp_path: Path, log: list[str]) -> Checkpoints:
    return Checkpoints(tmp_path, IDENTITY, log.append)


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def test_there_is_nothing_to_load_at_first(checkpoints: Checkpoints, log: list[str]) -> None:
    assert checkpoints.load_latest() is None
    assert log == []


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none", IDENTITY).load_latest() is None


def test_the_newest_checkpoint_is_loaded(checkpoints: Checkpoints) -> None:
    for epoch in (1, 2, 10):
        checkpoints.save(epoch, {"weight": torch.full((2,), float(epoch)), "history": [{"epoch": epoch}]})
    found = checkpoints.load_latest()
    assert found is not None
    assert found[0] == 10
    assert found[1]["weight"].tolist() == [10.0, 10.0]
    assert found[1]["history"] == [{"epoch": 10}]


def test_only_the_last_two_are_kept_and_nothing_temporary(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for epoch in range(1, 6):
        checkpoints.save(epoch, {})
    assert [path.name[-6:] for path in files(tmp_path)] == ["004.pt", "005.pt"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_damaged_checkpoint_is_reported_and_the_older_one_used(
    checkpoints: Checkpoints, tmp_path: Path, log: list[str], share: float
) -> None:
    checkpoints.save(1, {"weight": torch.ones(1000)})
    checkpoints.save(2, {"weight": torch.ones(1000)})
    newest = files(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[: int(newest.stat().st_size * share)])
    found = checkpoints.load_latest()
    assert found is not None
    assert found[0] == 1
    assert len(log) == 1
    assert newest.name in log[0]


def test_a_checkpoint_of_another_training_is_reported_and_ignored(
    checkpoints: Checkpoints, tmp_path: Path, log: list[str]
) -> None:
    Checkpoints(tmp_path, {**IDENTITY, "seed": 1}).save(5, {})
    assert checkpoints.load_latest() is None
    assert len(log) == 1
    assert "another training" in log[0]


def test_a_renamed_checkpoint_of_another_training_is_ignored(
    checkpoints: Checkpoints, tmp_path: Path, log: list[str]
) -> None:
    checkpoints.save(1, {})
    own = files(tmp_path)[0]
    Checkpoints(tmp_path, {**IDENTITY, "seed": 1}).save(2, {})
    next(path for path in files(tmp_path) if path != own).rename(own.with_name(own.name.replace("001", "002")))
    found = checkpoints.load_latest()
    assert found is not None
    assert found[0] == 1
    assert "written by another training" in log[0]


def test_a_checkpoint_that_is_a_pickle_with_code_is_not_run(
    checkpoints: Checkpoints, tmp_path: Path, log: list[str]
) -> None:
    checkpoints.save(1, {})
    torch.save({"identity": Path("x")}, files(tmp_path)[0])
    assert checkpoints.load_latest() is None
    assert len(log) == 1
