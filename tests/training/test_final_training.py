"""What the recipe does to the whole job, seen in what it says and leaves."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from tests.training.two_processes import run_two_processes
from training import extract_features, train_model
from training.activations import _order
from training.environment import Interrupted, JobInputError
from training.photo_set import open_photo_set
from training.world import World, plan_batches
from vision.classifier import load_artifact


@pytest.fixture(autouse=True)
def _keep_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal handler, and no smdebug, which sets up logging and exit handlers for the whole process."""
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    monkeypatch.setitem(sys.modules, "smdebug", None)


def extract(prepared: Path) -> Path:
    features = prepared.parent / "features"
    if not features.exists():
        extract_features.main(
            ["--backbone", "efficientnet_lite0", "--prepared", str(prepared), "--model-dir", str(features)]
        )
    return features


def train(prepared: Path, *options: str) -> Path:
    root, features = prepared.parent, extract(prepared)
    train_model.main(
        [
            *("--prepared", str(prepared), "--features", str(features), "--model-dir", str(root / "model")),
            *("--output-dir", str(root / "output"), "--epochs", "5", "--first-trained", "head", *options),
        ]
    )
    return root / "model"


def cut(photo: Path) -> str:
    """Truncate a photo, as a broken copy would, and return its path within the data set."""
    content = photo.read_bytes()
    photo.write_bytes(content[: len(content) // 2])
    return str(photo.relative_to(photo.parents[2]))


def test_a_full_recipe_trains_a_model_and_says_what_it_costs(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = ("--mixup", "0.2", "--cutmix", "1", "--randaugment", "5", "--random-erasing", "0.3")
    others = ("--optimizer", "sgd", "--label-smoothing", "0.1", "--ema", "0.9", "--class-balance", "True")
    extract(prepared)
    (prepared / "train" / "001.Red_dog" / "0.jpg").write_bytes(b"damaged since the features were made")
    model = train(prepared, "--fine-tune-epochs", "1", "--test-resolution", "256", *pixels, *others)
    said = capsys.readouterr().out
    assert "no cached activations: mixup, cutmix, randaugment, random_erasing change pixels" in said
    metrics = json.loads((model / "metrics.json").read_text())
    assert (metrics["optimizer"], metrics["mixup"], metrics["processes"]) == ("sgd", 0.2, 1)
    # The head was fitted to all photos and names the six tested ones, their copies: no recipe may leave a worse model.
    assert (metrics["valid_accuracy"], metrics["test_accuracy"]) == (1, 1)
    preprocessing = load_artifact(model).preprocessing
    assert (preprocessing.crop, preprocessing.resize) == (256, 293)  # 256 / 224 of the backbone's own 224 and 256


def test_activations_of_changed_photos_cannot_be_cached(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train(prepared, "--fine-tune-views", "2", "--mixup", "0.2")
    assert "--fine-tune-views 2: 0 expected, for mixup cannot be cached" in capsys.readouterr().err


def test_an_unknown_stage_ends_the_job_before_anything_is_trained(prepared: Path) -> None:
    with pytest.raises(JobInputError, match="efficientnet_lite0 has no stage 'layer4' to train"):
        train(prepared, "--first-trained", "layer4")


def test_photos_cut_short_after_preparing_cost_a_line_each_and_not_the_run(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = [cut(prepared / split / "001.Red_dog" / "1.jpg") for split in ("train", "valid", "test")]
    model = train(prepared, "--fine-tune-epochs", "1")
    said = capsys.readouterr().out.splitlines()
    metrics = json.loads((model / "metrics.json").read_text())
    assert metrics["photos_left_out"] == sorted(lost)
    assert [row["photos"] for row in metrics["test_classes"]] == [2, 3]
    for name in lost:
        jobs = 1 if name.startswith("test") else 2  # the extraction does not look at the test set
        assert len([line for line in said if line.startswith(f"left out {name}: ")]) == jobs


def test_a_photo_that_the_features_are_without_is_reported_though_the_training_does_not_read_it(
    prepared: Path,
) -> None:
    lost = cut(prepared / "train" / "001.Red_dog" / "1.jpg")
    metrics = json.loads((train(prepared, "--fine-tune-epochs", "0") / "metrics.json").read_text())
    assert metrics["photos_left_out"] == [lost]


def test_a_process_stops_after_the_training_if_another_of_it_was_asked_to(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OtherAsked(World):
        def sum_of(self, *numbers: float, device: torch.device) -> list[float]:
            return [number + 1 for number in numbers]

    monkeypatch.setattr(train_model, "join_world", lambda: nullcontext(OtherAsked()))
    with pytest.raises(Interrupted):
        train(prepared, "--fine-tune-epochs", "0")
    assert not (prepared.parent / "model").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_one_of_two_processes_cannot_decode_is_reported_by_the_chief(prepared: Path) -> None:
    root = prepared.parent
    train(prepared, "--fine-tune-epochs", "0")
    photos = open_photo_set(prepared).splits
    seconds = plan_batches(64, 100, World(1, 2), together=2).share(_order(len(photos["train"]), 0, 1))[0]
    lost = [cut(photos["train"][number].path) for number in seconds[:2]]
    lost += [cut(photo.path) for photo in photos["valid"][1::2]]  # all that the second process validates
    places = ["--prepared", str(prepared), "--features", str(root / "features"), "--model-dir", str(root / "two")]
    options = ["--output-dir", str(root / "out"), "--first-trained", "head", "--mixup", "0.2", "--epochs", "5"]
    said = run_two_processes("training/train_model.py", *places, *options, "--fine-tune-epochs", "1")
    metrics = json.loads((root / "two" / "metrics.json").read_text())
    assert metrics["processes"] == 2
    assert metrics["photos_left_out"] == sorted(lost)
    assert [len([line for line in said[0].splitlines() if line.startswith(f"left out {name}")]) for name in lost] == [
        1
    ] * len(lost)
    assert said[1] == ""
