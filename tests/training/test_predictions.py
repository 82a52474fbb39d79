import json
from pathlib import Path

import pytest
import torch

from training.evaluation import Evaluation, evaluate
from training.photo_set import LabelledPhoto, PhotoReader
from training.predictions import predictions, save_predictions
from vision.backbones import build_backbone
from vision.calibration import UNCALIBRATED, Calibration
from vision.classifier import Classifier, LoadedModel

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 1])
ROOT = Path("/data")
PHOTOS = (LabelledPhoto(ROOT / "test" / "001.A" / "ü.jpg", 0), LabelledPhoto(ROOT / "test" / "002.B" / "1.jpg", 1))


def test_each_photo_is_named_with_its_class_and_what_the_model_said() -> None:
    rows = predictions(Evaluation(LOGITS, LABELS, Calibration(2.0), PHOTOS), ROOT)
    assert [(row["photo"], row["true"]) for row in rows] == [("test/001.A/ü.jpg", 0), ("test/002.B/1.jpg", 1)]
    assert [number for number, _ in rows[1]["top"]] == [2, 0, 1]
    served = torch.softmax(LOGITS / 2.0, dim=1)
    assert rows[1]["top"][0][1] == pytest.approx(float(served[1, 2]), abs=1e-6)


def test_of_many_classes_the_best_five_are_kept() -> None:
    (row,) = predictions(Evaluation(torch.arange(9.0)[None], torch.tensor([3]), UNCALIBRATED, PHOTOS[:1]), ROOT)
    assert [number for number, _ in row["top"]] == [8, 7, 6, 5, 4]


def test_answers_about_unknown_photos_are_refused() -> None:
    with pytest.raises(ValueError, match="2 answers, but 0 photos"):
        predictions(Evaluation(LOGITS, LABELS, UNCALIBRATED), ROOT)


def test_the_file_is_what_was_said(tmp_path: Path) -> None:
    evaluation = Evaluation(LOGITS, LABELS, UNCALIBRATED, PHOTOS)
    save_predictions(tmp_path / "predictions.json", evaluation, ROOT)
    assert json.loads((tmp_path / "predictions.json").read_text()) == predictions(evaluation, ROOT)


def test_photos_that_cannot_be_decoded_move_no_answer_to_another_photo(prepared: Path) -> None:
    photos = [LabelledPhoto(path, 0) for path in sorted((prepared / "test" / "001.Red_dog").iterdir())]
    photos[0].path.write_bytes(b"damaged")
    backbone = build_backbone("efficientnet_lite0")
    classifier = Classifier(backbone, torch.nn.Linear(backbone.feature_dim, 4)).eval()
    model = LoadedModel(classifier, None, backbone.preprocessing, {})  # type: ignore[arg-type]
    seen = evaluate(model, photos, PhotoReader(prepared, lambda line: None))
    assert seen.photos == tuple(photos[1:])
