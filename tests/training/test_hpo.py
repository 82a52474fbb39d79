import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.metrics import FINAL_VALID_ACCURACY, FINAL_VALID_LOSS, VALID_ACCURACY, VALID_LOSS, read_line
from training import hpo
from training.environment import StopSignal
from training.features import Features, save_features
from training.history import Epoch

FeatureMaker = Callable[..., Features]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def channel(tmp_path: Path, make_features: FeatureMaker) -> Path:
    save_features(tmp_path / "features", make_features())
    return tmp_path / "features"


def test_a_trial_prints_its_final_metrics_and_leaves_head_and_metrics(
    channel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SM_CHANNEL_FEATURES", str(channel))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    hpo.main(["--lr", "0.02", "--batch-size", '"64"', "--epochs", "6"])
    readings = [reading for line in capsys.readouterr().out.splitlines() if (reading := read_line(line))]
    last = {reading.name: reading.value for reading in readings}
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert last[FINAL_VALID_ACCURACY.name] == pytest.approx(metrics["valid_accuracy"], abs=1e-6)
    assert last[FINAL_VALID_LOSS.name] == pytest.approx(metrics["valid_loss"], abs=1e-6)
    assert [reading.epoch for reading in readings if reading.name == VALID_LOSS.name] == [1, 2, 3, 4, 5, 6]
    assert metrics["hyperparameters"] == {"lr": 0.02, "batch_size": 64, "epochs": 6}
    assert (tmp_path / "model" / "head.pt").is_file()


def test_the_objective_is_reported_after_every_epoch_and_last_as_what_the_trial_keeps(
    channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hpo.main(["--features", str(channel), "--model-dir", str(tmp_path / "model"), "--lr", "0.1", "--epochs", "8"])
    readings = [reading for line in capsys.readouterr().out.splitlines() if (reading := read_line(line))]
    objective = [reading.value for reading in readings if reading.name == FINAL_VALID_ACCURACY.name]
    accuracies = [reading.value for reading in readings if reading.name == VALID_ACCURACY.name]
    assert objective == [max(accuracies[: epoch + 1]) for epoch in range(8)]
    kept = json.loads((tmp_path / "model" / "metrics.json").read_text())["valid_accuracy"]
    assert objective[-1] == pytest.approx(kept, abs=1e-6)


def test_the_loss_may_be_the_objective(channel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hpo.main(["--features", str(channel), "--model-dir", str(tmp_path / "model"), "--lr", "0.1", "--objective", "loss"])
    readings = [reading for line in capsys.readouterr().out.splitlines() if (reading := read_line(line))]
    objective = [reading.value for reading in readings if reading.name == FINAL_VALID_LOSS.name]
    losses = [reading.value for reading in readings if reading.name == VALID_LOSS.name]
    assert objective == [min(losses[: epoch + 1]) for epoch in range(8)]


def test_an_epoch_whose_loss_is_no_number_is_not_what_the_trial_keeps(capsys: pytest.CaptureFixture[str]) -> None:
    progress = hpo.TrialProgress(2, StopSignal())
    progress.epoch(Epoch(1, "probe", 1.0, 0.5, 1.0, 0.4, 0.1))
    progress.epoch(Epoch(2, "probe", math.nan, 0.5, math.nan, 0.9, 0.1))
    readings = [reading for line in capsys.readouterr().out.splitlines() if (reading := read_line(line))]
    assert [reading.value for reading in readings if reading.name == FINAL_VALID_ACCURACY.name] == [0.4, 0.4]


def test_a_trial_that_the_tuner_stops_is_no_failure(channel: Path, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from training import hpo; "
        "check = hpo.StopSignal.check; "
        "hpo.StopSignal.check = lambda self: (os.kill(os.getpid(), signal.SIGTERM), check(self)); "
        f"hpo.main(['--features', {str(channel)!r}, '--model-dir', {str(tmp_path / 'm')!r}, '--epochs', '10'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    readings = [reading for line in done.stdout.splitlines() if (reading := read_line(line))]
    assert [reading.name for reading in readings].count(FINAL_VALID_ACCURACY.name) == 1
    assert [reading.name for reading in readings].count(FINAL_VALID_LOSS.name) == 1
    assert "stopped early" in done.stdout
    assert not (tmp_path / "m").exists()


def test_a_hyperparameter_out_of_range_is_refused(channel: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        hpo.main(["--features", str(channel), "--model-dir", str(tmp_path), "--lr", "5"])


def test_a_trial_imports_neither_torchvision_nor_timm_nor_smdebug_nor_torchs_optimizers(
    channel: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from training import hpo; "
        f"hpo.main(['--features', {str(channel)!r}, '--model-dir', {str(tmp_path / 'm')!r}]); "
        "slow = {'torchvision', 'timm', 'smdebug', 'PIL', 'torch._dynamo', 'boto3'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
