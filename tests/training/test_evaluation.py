from pathlib import Path

import pytest
import torch

from training.environment import JobInputError
from training.evaluation import Evaluation, by_class, evaluate
from training.photo_set import LabelledPhoto, PhotoReader
from vision.backbones import build_backbone
from vision.calibration import UNCALIBRATED, Calibration
from vision.classifier import Classifier, LoadedModel

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 0.0, 0.5]])
LABELS = torch.tensor([0, 1, 2])


def test_a_temperature_changes_the_loss_and_not_the_accuracy() -> None:
    plain = Evaluation(LOGITS, LABELS, UNCALIBRATED)
    cooled = plain.read_with(Calibration(0.5))
    assert cooled.score.accuracy == plain.score.accuracy == pytest.approx(2 / 3)
    assert cooled.score.loss != plain.score.loss
    assert torch.equal(cooled.probabilities, torch.softmax(LOGITS * 2, dim=1))


def test_the_share_of_sure_answers_is_counted_where_the_model_is_asked() -> None:
    assert Evaluation(LOGITS, LABELS, UNCALIBRATED).confident is None
    assert Evaluation(LOGITS, LABELS, Calibration(1.0, 0.7)).confident == pytest.approx(2 / 3)


def test_every_class_has_its_accuracy_and_its_mistakes() -> None:
    evaluation = Evaluation(LOGITS, LABELS, UNCALIBRATED)
    assert evaluation.confusion == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert by_class(("A", "B", "C"), evaluation.confusion)[2] == {
        "label": "C",
        "photos": 1,
        "accuracy": 0.0,
        "taken_for": {"A": 1},
    }


def test_a_class_without_photos_has_no_accuracy() -> None:
    assert by_class(("A", "B"), [[1, 0], [0, 0]])[1]["accuracy"] is None


def test_probabilities_are_those_that_serving_answers(prepared: Path) -> None:
    torch.manual_seed(0)
    backbone = build_backbone("efficientnet_lite0")
    classifier = Classifier(backbone, torch.nn.Linear(backbone.feature_dim, 4)).eval()
    model = LoadedModel(classifier, None, backbone.preprocessing, {}, Calibration(0.01))  # type: ignore[arg-type]
    photos = [LabelledPhoto(path, 0) for path in sorted((prepared / "test" / "001.Red_dog").iterdir())]
    reader = PhotoReader(prepared)
    found = evaluate(model, photos, reader).probabilities
    for photo, expected in zip(photos, found, strict=True):
        picture = reader.read(photo)
        assert picture is not None
        torch.testing.assert_close(model.probabilities(picture), expected, atol=1e-3, rtol=0)


def test_a_split_of_which_nothing_can_be_decoded_is_refused(prepared: Path) -> None:
    (prepared / "broken.jpg").write_bytes(b"no photo")
    backbone = build_backbone("efficientnet_lite0")
    classifier = Classifier(backbone, torch.nn.Linear(backbone.feature_dim, 4)).eval()
    model = LoadedModel(classifier, None, backbone.preprocessing, {})  # type: ignore[arg-type]
    with pytest.raises(JobInputError, match=r"not one of 1 photos can be decoded, the first is .*broken\.jpg"):
        evaluate(model, [LabelledPhoto(prepared / "broken.jpg", 0)], PhotoReader(prepared))
