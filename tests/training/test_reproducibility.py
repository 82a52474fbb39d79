"""The same seed twice, on a CPU."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contract.names import ArtifactFile
from contract.search_space import Hyperparameters
from training import extract_features, train_model
from training.features import Features
from training.head_fitting import fit_head
from vision.calibration import Calibration
from vision.classifier import load_artifact

# What differs between two trainings on purpose: nothing that a prediction depends on.
SAME = (ArtifactFile.MODEL, ArtifactFile.WEIGHTS, ArtifactFile.CLASSES, ArtifactFile.PREPROCESSING)


@pytest.mark.parametrize("batch_size", [16, 1024])
def test_the_same_seed_twice_gives_the_same_head_bit_for_bit(
    make_features: Callable[..., Features], batch_size: int
) -> None:
    features = make_features(views=3)
    first, second = (fit_head(features, Hyperparameters(0.01, batch_size, 5), seed=7) for _ in range(2))
    assert first.head.state_dict().keys() == second.head.state_dict().keys()
    for name, tensor in first.head.state_dict().items():
        assert torch.equal(tensor, second.head.state_dict()[name]), name
    assert first.valid == second.valid


def test_another_seed_gives_another_head(make_features: Callable[..., Features]) -> None:
    features = make_features(views=3)
    first, second = (fit_head(features, Hyperparameters(0.01, 16, 5), seed=seed) for seed in (1, 2))
    assert not torch.equal(first.head.linear.weight, second.head.linear.weight)


@pytest.fixture
def train(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that runs extraction and training with no signal handler and no smdebug; the model's folder."""
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    monkeypatch.setitem(sys.modules, "smdebug", None)

    def run(name: str, *more: str) -> Path:
        root = prepared.parent / name
        given = ["--prepared", str(prepared)]
        extract_features.main([*given, "--backbone", "efficientnet_lite0", "--model-dir", str(root / "features")])
        places = ["--features", str(root / "features"), "--model-dir", str(root / "model")]
        outputs = ["--output-dir", str(root / "output"), "--checkpoint-dir", str(root / "checkpoints")]
        train_model.main([*given, *places, *outputs, "--epochs", "5", "--fine-tune-epochs", "2", "--seed", "3", *more])
        return root / "model"

    return run


@pytest.mark.slow
def test_the_same_seed_twice_gives_the_same_artifact_byte_for_byte(train: Callable[..., Path]) -> None:
    first, second = train("first"), train("second")
    for file in SAME:
        one, other = (hashlib.sha256((folder / file).read_bytes()).hexdigest() for folder in (first, second))
        assert one == other, file
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (first, second)]
    for each in metrics:
        del each["findings"]  # the profiler's: of how long this run took and waited, never the same twice
    assert metrics[0] == metrics[1]


def test_metrics_say_all_that_the_model_was_made_with(train: Callable[..., Path]) -> None:
    folder = train("once", "--source-revision", "0123abc", "--known-share", "0.9", "--fine-tune-epochs", "0")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["source_revision"] == "0123abc"
    assert metrics["seeds"] == {"data": 0, "features": 0, "training": 3}
    assert metrics["fingerprint"] == "f" * 64
    assert {"python", "torch", "torchvision", "timm", "numpy"} <= metrics["versions"].keys()
    assert {"platform", "device", "threads", "hyperparameters"} <= metrics.keys()
    rows = {row["label"]: (row["photos"], row["accuracy"], row["taken_for"]) for row in metrics["test_classes"]}
    assert rows == {"Red dog": (3, 1.0, {}), "Blue dog": (3, 1.0, {})}
    calibration = metrics["calibration"]
    served = Calibration(calibration["temperature"], calibration["confident_from"])
    assert load_artifact(folder).calibration == served
    assert calibration["valid"]["confident"] >= metrics["known_share"] == 0.9
    assert calibration["valid"]["loss"] == metrics["valid_loss"] <= calibration["valid"]["loss_before"]


@pytest.mark.slow
def test_a_training_that_is_not_to_ask_leaves_no_threshold(train: Callable[..., Path]) -> None:
    model = load_artifact(train("never", "--known-share", "0", "--fine-tune-epochs", "0"))
    assert model.calibration.confident_from is None
