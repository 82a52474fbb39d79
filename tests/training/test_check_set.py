from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from training.check_set import check_photos_of, spread_over_classes
from training.evaluation import evaluate
from training.photo_set import LabelledPhoto, PhotoReader
from vision.backbones import build_backbone
from vision.calibration import UNCALIBRATED
from vision.classifier import Classifier, LoadedModel


def test_every_class_gives_as_many_as_the_others_and_a_small_one_all_it_has() -> None:
    labels = np.repeat(np.arange(4), (100, 50, 3, 80))
    chosen = spread_over_classes(labels, 30)
    assert Counter(labels[chosen].tolist()) == {0: 9, 1: 9, 2: 3, 3: 9}
    assert len(set(chosen.tolist())) == 30
    assert chosen.tolist() == sorted(chosen.tolist())


def test_photos_of_a_class_are_taken_from_its_whole_length() -> None:
    assert spread_over_classes(np.zeros(100, np.int64), 4).tolist() == [0, 25, 50, 75]


@pytest.mark.parametrize("photos", [5, 6])
def test_of_few_photos_all_are_taken(photos: int) -> None:
    assert spread_over_classes(np.arange(photos) % 2, 6).tolist() == list(range(photos))


def test_with_more_classes_than_photos_the_chosen_classes_lie_apart() -> None:
    assert spread_over_classes(np.arange(10), 5).tolist() == [0, 2, 4, 6, 8]


def test_check_photos_hold_what_the_evaluation_saw_and_the_network_said_though_one_cannot_be_decoded(
    prepared: Path,
) -> None:
    torch.manual_seed(0)
    backbone = build_backbone("efficientnet_lite0")
    classifier = Classifier(backbone, torch.nn.Linear(backbone.feature_dim, 4)).eval()
    model = LoadedModel(classifier, None, backbone.preprocessing, {}, UNCALIBRATED)  # type: ignore[arg-type]
    paths = sorted((prepared / "test").glob("*/*.jpg"))
    paths[1].write_bytes(b"no photo")
    reader = PhotoReader(prepared, lambda line: None)
    evaluation = evaluate(model, [LabelledPhoto(path, at) for at, path in enumerate(paths)], reader, {0, 1, 4})
    check = check_photos_of(evaluation)
    assert check.labels.tolist() == [0, 4]
    assert check.photos.dtype == np.uint8
    with torch.inference_mode():
        again = classifier(model.preprocessing.normalise(torch.from_numpy(check.photos)))
    torch.testing.assert_close(torch.from_numpy(check.logits), again, atol=1e-4, rtol=0)
