import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.classes import Classes
from contract.names import ArtifactFile
from training import quantisation
from training.check_set import check_photos_of, spread_over_classes
from training.evaluation import evaluate
from training.photo_batches import photo_batches
from training.photo_list import PhotoList, class_folders, list_files
from training.photo_set import PhotoReader
from training.quantisation import Quantised, leave_quantised
from vision.backbones import load_backbone
from vision.calibration import Calibration
from vision.check_photos import CHECK_PHOTOS, MAX_MOVED, Agreement, CheckPhotos
from vision.classifier import Classifier, LoadedModel, load_artifact, save_artifact
from vision.heads import Head
from vision.openvino_import import load_openvino, signal_stack_kept

Splits = dict[str, PhotoList]


@pytest.fixture
def splits(prepared: Path) -> Splits:
    folders = class_folders(prepared / "train")
    return {split: list_files(prepared / split, folders) for split in ("train", "valid")}


@pytest.fixture
def model(tmp_path: Path, splits: Splits) -> LoadedModel:
    torch.manual_seed(0)
    backbone = load_backbone("efficientnet_lite0").backbone
    save_artifact(tmp_path / "model", Classifier(backbone, torch.nn.Linear(1280, 2)), Classes(("A", "B")), {})
    return load_artifact(tmp_path / "model")


@pytest.fixture
def check(model: LoadedModel, splits: Splits, prepared: Path) -> CheckPhotos:
    return check_photos_of(evaluate(model, splits["valid"], PhotoReader(prepared), range(100)))


def left(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if "int8" in path.name}


def test_a_set_too_small_to_read_ranges_off_is_told_of_and_not_quantised(
    model: LoadedModel, splits: Splits, check: CheckPhotos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = leave_quantised(model, splits["train"], PhotoReader(tmp_path), check, tmp_path / "model")
    assert said == {
        "kept": False,
        "reason": "16 training photos are too few to read ranges off; 128 or more are needed",
    }
    assert f"no quantised network: {said['reason']}" in capsys.readouterr().out


@pytest.fixture
def any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "LEAST", 4)


@pytest.mark.usefixtures("any_number")
@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_without_its_packages_the_training_goes_on_and_says_so(
    model: LoadedModel,
    splits: Splits,
    check: CheckPhotos,
    tmp_path: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = leave_quantised(model, splits["train"], PhotoReader(prepared), check, tmp_path / "model")
    assert said["kept"] is False
    assert "openvino and nncf are needed" in said["reason"]
    assert left(tmp_path / "model") == set()


@pytest.mark.usefixtures("any_number")
def test_whatever_goes_wrong_the_training_goes_on_and_says_why(
    model: LoadedModel,
    splits: Splits,
    check: CheckPhotos,
    tmp_path: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Check 'shape' failed")

    monkeypatch.setattr(quantisation, "_quantise", fail)
    said = leave_quantised(model, splits["train"], PhotoReader(prepared), check, tmp_path / "model")
    assert said["reason"] == """it failed: RuntimeError("Check 'shape' failed")"""
    assert "Traceback" in capsys.readouterr().err
    assert left(tmp_path / "model") == set()


@pytest.mark.usefixtures("any_number")
@pytest.mark.parametrize(("changed", "kept"), [(0.0, True), (0.01, False)])
def test_it_stays_only_where_it_agrees_and_nothing_of_an_earlier_attempt_does(
    model: LoadedModel,
    splits: Splits,
    check: CheckPhotos,
    tmp_path: Path,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: float,
    kept: bool,
) -> None:
    def quantise(_model: object, _photos: object, path: Path) -> None:
        path.with_suffix(".bin").write_text("new")
        path.write_text("new")

    monkeypatch.setattr(quantisation, "_quantise", quantise)
    monkeypatch.setattr(quantisation, "_measure", lambda path, model, check: Quantised(1, Agreement(changed, 0, 0.1)))
    directory = tmp_path / "model"
    (directory / ArtifactFile.INT8).write_text("of an attempt that was interrupted")
    said = leave_quantised(model, splits["train"], PhotoReader(prepared), check, directory)
    assert (said["kept"], said["top1_changed"]) == (kept, changed)
    assert left(directory) == ({"int8.xml", "int8.bin"} if kept else set())
    if kept:
        assert (directory / ArtifactFile.INT8).read_text() == "new"
    else:
        assert said["reason"].startswith("of 6 validation photos, it names 1.0% of the photos otherwise")


def test_one_photo_of_two_hundred_may_change_and_no_second_one() -> None:
    assert Agreement(1 / CHECK_PHOTOS, 0, 0).refusal is None
    assert Agreement(2 / CHECK_PHOTOS, 0, 0).refusal is not None


def test_the_probabilities_of_four_photos_of_two_hundred_may_move_and_of_no_fifth() -> None:
    reference = np.zeros((CHECK_PHOTOS, 2), np.float32)
    reference[:, 0] = 1  # 0.73 and 0.27
    for count, refusal in ((4, None), (5, "a probability of 2.5% of the photos moves by over 0.1, 2% are allowed")):
        logits = reference.copy()
        logits[:count, 0] += 1  # 0.88
        agreement = Agreement.of(logits, reference, Calibration())
        assert agreement.refusal == refusal
        assert agreement.largest_difference == pytest.approx(0.15, abs=0.001)


def fitted_to(dogs: Path) -> tuple[Classifier, Splits, Classes]:
    """Return a classifier of ten breeds whose head was fitted to 240 photos."""
    folders = class_folders(dogs / "train")
    splits = {split: list_files(dogs / split, folders) for split in ("train", "valid", "test")}
    backbone = load_backbone("efficientnet_lite0").backbone
    chosen = [splits["train"][int(number)] for number in spread_over_classes(splits["train"].labels, 240)]
    batches = photo_batches(
        chosen, PhotoReader(dogs), lambda _number, image: backbone.preprocessing.apply(image)[None], 16
    )
    with torch.inference_mode():
        found = [(backbone(batch.views[:, 0]), batch.labels) for batch in batches]
    features, labels = (torch.cat(parts).clone() for parts in zip(*found, strict=True))
    head = Head(backbone.feature_dim, len(folders))
    head.standardise_on(features)
    optimizer = torch.optim.Adam(head.parameters(), 0.01)
    for _ in range(50):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(features), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Classifier(backbone, head.folded()), splits, Classes(folders)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_quantised_network_of_a_model_of_real_dogs_names_them_as_the_model_does(dogs: Path, tmp_path: Path) -> None:
    classifier, splits, classes = fitted_to(dogs)
    save_artifact(tmp_path, classifier, classes, {})
    model, reader = load_artifact(tmp_path), PhotoReader(dogs)
    check = check_photos_of(evaluate(model, splits["valid"], reader, range(1_000)))
    said = leave_quantised(model, splits["train"], reader, check, tmp_path)
    assert said["kept"], said
    assert said["top1_changed"] == 0  # one of 90 would be more than 0.5 %
    assert said["moved"] <= MAX_MOVED
    assert (said["photos"], said["check_photos"]) == (181, 90)
    assert left(tmp_path) == {"int8.xml", "int8.bin"}
    assert said["accuracy"] > 0.9
    # Photos that had no part in it, read back as serving does, in two sizes of batch.
    test = check_photos_of(evaluate(model, splits["test"], reader, range(1_000)))
    with signal_stack_kept():
        compiled = load_openvino().Core().compile_model(tmp_path / ArtifactFile.INT8, "CPU")
    logits = np.concatenate([compiled(test.photos[:64])["logits"], compiled(test.photos[64:])["logits"]])
    right, was_right = ((each.argmax(axis=1) == test.labels).mean() for each in (logits, test.logits))
    assert was_right > 0.9
    assert abs(right - was_right) <= 2 / 90
    assert (logits.argmax(axis=1) != test.logits.argmax(axis=1)).mean() <= 2 / 90
    # A network that looks at other photos than the one that it is held against is refused.
    shuffled = dataclasses.replace(check, logits=np.roll(check.logits, 1, axis=1))
    refused = quantisation._measure(tmp_path / ArtifactFile.INT8, model, shuffled)
    assert refused.agreement.refusal is not None
