"""A training that is killed again and again ends in the same metrics as one that was left alone."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from training import extract_features

ROOT = Path(__file__).parents[2]
# What differs from run to run by its nature, at whatever depth.
_OF_THE_RUN = ("seconds",)


def command(prepared: Path, features: Path, place: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-W", "ignore", "training/train_model.py", "--prepared", str(prepared)),
        *("--features", str(features), "--model-dir", str(place / "model"), "--output-dir", str(place / "output")),
        *("--checkpoint-dir", str(place / "checkpoints"), "--epochs", "5", "--seed", "3", *more),
    ]


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def epochs_done(checkpoints: Path) -> int:
    """Return the newest checkpoint's epoch: the older ones are gone before a slow test has seen them."""
    return max((int(path.stem.rpartition("-")[2]) for path in checkpoints.glob("*-epoch-*.pt")), default=0)


def kill_in_epoch(process: "subprocess.Popen[bytes]", checkpoints: Path, epoch: int, rng: random.Random) -> None:
    """Kill the process at a random moment after it has finished ``epoch``."""
    deadline = time.monotonic() + 300
    while epochs_done(checkpoints) < epoch:
        assert process.poll() is None, process.communicate()[1].decode()[-2000:]
        assert time.monotonic() < deadline, f"no checkpoint of epoch {epoch}"
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.2))
    process.kill()
    process.communicate()


def left_by(place: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((place / "output" / "metrics.json").read_text())
    del metrics["findings"]  # the rules of a process have seen what that process has done
    history = json.loads((place / "output" / "history.json").read_text())
    rows = [{key: value for key, value in row.items() if key not in _OF_THE_RUN} for row in history]
    return {"metrics": metrics, "history": rows}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "recipe",
    [
        ("--ema", "0.9"),
        ("--mixup", "0.2", "--randaugment", "9", "--random-erasing", "0.5"),
    ],
)
def test_three_kills_at_random_moments_change_nothing(
    prepared: Path, tmp_path: Path, recipe: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    features = tmp_path / "features"
    extract_features.main(
        ["--backbone", "efficientnet_lite0", "--prepared", str(prepared), "--model-dir", str(features)]
    )
    options = ("--fine-tune-epochs", "12", "--first-trained", "head", *recipe)
    whole = start(command(prepared, features, tmp_path / "whole", *options))
    rng = random.Random()
    killed = sorted(rng.sample(range(1, 10), 3))
    print(f"killed after epochs {killed}")
    broken = command(prepared, features, tmp_path / "broken", *options)
    for epoch in killed:
        kill_in_epoch(start(broken), tmp_path / "broken" / "checkpoints", epoch, rng)
    last = start(broken)
    assert last.wait(300) == 0
    assert whole.wait(300) == 0
    for process in (whole, last):
        process.communicate()
    assert not [path for path in (tmp_path / "broken" / "checkpoints").iterdir() if path.suffix == ".partial"]
    assert left_by(tmp_path / "broken") == left_by(tmp_path / "whole")
    weights = [(tmp_path / run / "model" / "weights.pt").read_bytes() for run in ("whole", "broken")]
    assert weights[0] == weights[1]
