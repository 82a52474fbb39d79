import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.training.fake_mlflow import FakeMlflow
from training import extract_features, train_model
from training.history import Epoch, load_history
from training.journal import Journal, Tool, open_journal

METRICS = {
    "hyperparameters": {"lr": 0.01, "batch_size": 64, "epochs": 2},
    "fine_tune_epochs": 2,
    "backbone": "resnet50",
    "seed": 0,
    "valid_loss": 0.2,
    "valid_accuracy": 0.9,
    "test_loss": 0.3,
    "test_accuracy": 0.8,
}


def row(number: int) -> Epoch:
    return Epoch(number, "probe", 1.0 / number, 0.5, 1.5 / number, 0.25, 2.0)


class Recorder:
    name = "the recorder"

    def __init__(self) -> None:
        self.told: list[object] = []

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        self.told.append((step, values["loss/train"]))

    def result(self, choices: Mapping[str, str], values: Mapping[str, float], report: Path | None) -> None:
        self.told.append((choices["lr"], choices["backbone"], values["final/test_accuracy"], report))

    def close(self, succeeded: bool) -> None:
        self.told.append(succeeded)


class Broken(Recorder):
    name = "the broken one"

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        raise OSError("disk full")


def test_a_tool_is_told_everything_in_order() -> None:
    tool = Recorder()
    with Journal((lambda: tool,)) as journal:
        journal.epoch(row(1))
        journal.epoch(row(2))
        journal.result(METRICS, Path("report.html"))
    assert tool.told == [(1, 1.0), (2, 0.5), ("0.01", "resnet50", 0.8, Path("report.html")), True]


def test_a_training_that_fails_is_told_as_failed_and_fails_as_it_did() -> None:
    tool = Recorder()

    def train() -> None:
        with Journal((lambda: tool,)) as journal:
            journal.epoch(row(1))
            raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        train()
    assert tool.told == [(1, 1.0), False]


def test_a_tool_that_fails_is_named_once_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    tool = Recorder()
    with Journal((Broken, lambda: tool)) as journal:
        journal.epoch(row(1))
        journal.epoch(row(2))
    assert tool.told == [(1, 1.0), (2, 0.5), False]
    assert capsys.readouterr().out == "the journal: the broken one is left out from here on: OSError: disk full\n"


def test_a_tool_that_cannot_be_opened_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def opener() -> Tool | None:
        raise RuntimeError("no such server")

    with Journal((opener,)) as journal:
        journal.epoch(row(1))
    assert capsys.readouterr().out == "the journal: RuntimeError: no such server\n"


def test_a_tool_that_hangs_keeps_neither_the_epochs_nor_the_end_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    release, reached = threading.Event(), threading.Event()

    class Hanging(Recorder):
        def epoch(self, step: int, values: Mapping[str, float]) -> None:
            reached.set()
            assert release.wait(60)

    with Journal((Hanging,), last_seconds=0.05) as journal:
        journal.epoch(row(1))
        assert reached.wait(60)
        for number in range(2, 100):
            journal.epoch(row(number))
    assert "not everything was taken" in capsys.readouterr().out
    release.set()


def test_without_tools_there_is_no_thread() -> None:
    before = set(threading.enumerate())
    with Journal(()) as journal:
        journal.epoch(row(1))
        assert set(threading.enumerate()) <= before


def test_a_training_without_a_server_leaves_tensorboard_files_alone(tmp_path: Path) -> None:
    with open_journal(tmp_path / "output", None, tmp_path / "run") as journal:
        journal.epoch(row(1))
        journal.result(METRICS, None)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [
        path.name for path in (tmp_path / "output" / "tensorboard").iterdir()
    ]
    assert not (tmp_path / "run").exists()


def test_a_server_that_cannot_be_reached_fails_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_journal(tmp_path / "output", "http://user:secret@127.0.0.1:9", tmp_path / "run") as journal:
        journal.epoch(row(1))
        journal.result(METRICS, None)
    said = capsys.readouterr().out
    assert "http://127.0.0.1:9 cannot be reached" in said
    assert "secret" not in said


@pytest.mark.parametrize("reachable", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_whole_training_is_told_of_whether_or_not_the_server_is_there(
    reachable: bool, server: FakeMlflow, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    monkeypatch.setitem(sys.modules, "smdebug", None)  # it sets up logging and exit handlers for the whole process
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri if reachable else "http://127.0.0.1:9")
    features, output = tmp_path / "features", tmp_path / "output"
    options = ["--backbone", "efficientnet_lite0", "--prepared", str(prepared)]
    extract_features.main([*options, "--model-dir", str(features)])
    train_model.main(
        [
            *("--prepared", str(prepared), "--features", str(features), "--model-dir", str(tmp_path / "model")),
            *("--output-dir", str(output), "--epochs", "5", "--fine-tune-epochs", "1", "--profiler", "False"),
        ]
    )
    history = load_history(output / "history.json")
    assert len(history) == 6
    (events,) = (output / "tensorboard").iterdir()
    assert events.read_bytes().count(b"accuracy/valid") == len(history)
    if reachable:
        sent = [metric for body in server.bodies("log-batch") for metric in body.get("metrics", ())]
        assert [(m["step"], m["value"]) for m in sent if m["key"] == "loss/valid"] == [
            (row.epoch, row.valid_loss) for row in history
        ]
        assert {"final/test_accuracy", "final/valid_loss"} <= {metric["key"] for metric in sent}
        assert server.bodies("report.html")[0].startswith(b"<!doctype html>")
        assert server.bodies("runs/update")[0]["status"] == "FINISHED"
