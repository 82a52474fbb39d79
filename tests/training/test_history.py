from pathlib import Path

from training.history import Epoch, load_history, save_history

HISTORY = [
    Epoch(1, "probe", 1.0, 0.5, 1.1, 0.4, 0.1),
    Epoch(2, "fine-tune", 0.5, 0.75, 0.6, 0.7, 2.5),
]


def test_saved_and_loaded_a_history_is_the_same(tmp_path: Path) -> None:
    save_history(tmp_path / "deep" / "history.json", HISTORY)
    assert load_history(tmp_path / "deep" / "history.json") == HISTORY


def test_nothing_temporary_is_left(tmp_path: Path) -> None:
    save_history(tmp_path / "history.json", HISTORY)
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]
