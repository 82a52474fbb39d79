"""What the recipe does to the whole job, seen in what it says and leaves."""

import json
import sys
from pathlib import Path

import pytest

from training import extract_features, train_model
from training.environment import JobInputError
from vision.classifier import load_artifact


@pytest.fixture(autouse=True)
def _keep_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal handler, and no smdebug, which sets up logging and exit handlers for the whole process."""
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    monkeypatch.setitem(sys.modules, "smdebug", None)


def train(prepared: Path, *options: str) -> Path:
    root = prepared.parent
    features = root / "features"
    if not features.exists():
        extract_features.main(
            ["--backbone", "efficientnet_lite0", "--prepared", str(prepared), "--model-dir", str(features)]
        )
    train_model.main(
        [
            *("--prepared", str(prepared), "--features", str(features), "--model-dir", str(root / "model")),
            *("--output-dir", str(root / "output"), "--epochs", "5", "--first-trained", "head", *options),
        ]
    )
    return root / "model"


def test_a_full_recipe_trains_a_model_and_says_what_it_costs(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = ("--mixup", "0.2", "--cutmix", "1", "--randaugment", "5", "--random-erasing", "0.3")
    others = ("--optimizer", "sgd", "--label-smoothing", "0.1", "--ema", "0.9", "--class-balance", "True")
    (prepared / "train" / "001.Red_dog" / "0.jpg").write_bytes(b"damaged since the features were made")
    model = train(prepared, "--fine-tune-epochs", "1", "--test-resolution", "256", *pixels, *others)
    said = capsys.readouterr().out
    assert "no cached activations: mixup, cutmix, randaugment, random_erasing change pixels" in said
    metrics = json.loads((model / "metrics.json").read_text())
    assert (metrics["optimizer"], metrics["mixup"], metrics["processes"]) == ("sgd", 0.2, 1)
    preprocessing = load_artifact(model).preprocessing
    assert (preprocessing.crop, preprocessing.resize) == (256, 293)  # 256 / 224 of the backbone's own 224 and 256


def test_activations_of_changed_photos_cannot_be_cached(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train(prepared, "--fine-tune-views", "2", "--mixup", "0.2")
    assert "--fine-tune-views 2: 0 expected, for mixup cannot be cached" in capsys.readouterr().err


def test_an_unknown_stage_ends_the_job_before_anything_is_trained(prepared: Path) -> None:
    with pytest.raises(JobInputError, match="efficientnet_lite0 has no stage 'layer4' to train"):
        train(prepared, "--first-trained", "layer4")
