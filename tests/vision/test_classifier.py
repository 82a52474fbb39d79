import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from contract.classes import Classes
from contract.names import ArtifactFile
from vision.backbones import load_backbone
from vision.calibration import UNCALIBRATED, Calibration
from vision.classifier import ArtifactError, Classifier, load_artifact, save_artifact, save_calibration

CLASSES = Classes(("001.Boxer", "002.Pug", "003.Poodle"))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    backbone = load_backbone("efficientnet_lite0").backbone
    return Classifier(backbone, nn.Linear(backbone.feature_dim, 3)).eval()


@pytest.fixture
def artifact(tmp_path: Path, classifier: Classifier) -> Path:
    save_artifact(tmp_path, classifier, CLASSES, {"test_accuracy": 0.9})
    return tmp_path


def test_a_restored_model_says_the_same(
    artifact: Path, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision.weights.efficientnet_lite0_weights", lambda: pytest.fail("looked for weights"))
    model = load_artifact(artifact)
    photos = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(model.classifier(photos), classifier(photos))
    assert (model.classes, model.metrics) == (CLASSES, {"test_accuracy": 0.9})
    assert model.preprocessing == classifier.backbone.preprocessing
    assert not model.classifier.training


def test_probabilities_sum_to_one(artifact: Path) -> None:
    probabilities = load_artifact(artifact).probabilities(Image.new("RGB", (300, 200), "brown"))
    assert probabilities.shape == (3,)
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "name", [ArtifactFile.MODEL, ArtifactFile.WEIGHTS, ArtifactFile.CLASSES, ArtifactFile.PREPROCESSING]
)
def test_a_missing_file_is_named(artifact: Path, name: ArtifactFile) -> None:
    (artifact / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        load_artifact(artifact)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"[]", b"{}"])
@pytest.mark.parametrize(
    "name", [ArtifactFile.MODEL, ArtifactFile.WEIGHTS, ArtifactFile.CLASSES, ArtifactFile.PREPROCESSING]
)
def test_a_damaged_file_is_named(artifact: Path, name: ArtifactFile, content: bytes) -> None:
    (artifact / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"is damaged: {name}: ."):
        load_artifact(artifact)


@pytest.mark.parametrize("name", [ArtifactFile.MODEL, ArtifactFile.METRICS, ArtifactFile.WEIGHTS])
def test_a_file_that_cannot_be_read_is_named(artifact: Path, name: ArtifactFile) -> None:
    (artifact / name).unlink()
    (artifact / name).mkdir()  # root may read every file
    with pytest.raises(ArtifactError, match=f"cannot be read: {name}: Is a directory"):
        load_artifact(artifact)


def test_weights_for_other_classes_are_refused(artifact: Path) -> None:
    Classes(("a", "b")).save(artifact / ArtifactFile.CLASSES)
    with pytest.raises(ArtifactError, match="size mismatch"):
        load_artifact(artifact)


def test_an_artifact_of_another_format_is_refused(artifact: Path) -> None:
    (artifact / ArtifactFile.MODEL).write_text('{"format": 99}')
    with pytest.raises(ArtifactError, match="format 99"):
        load_artifact(artifact)


def test_the_calibration_travels_with_the_model_and_shapes_its_probabilities(artifact: Path) -> None:
    photo = Image.new("RGB", (300, 200), "brown")
    plain = load_artifact(artifact).probabilities(photo)
    save_calibration(artifact, Calibration(2.0, 0.75))
    model = load_artifact(artifact)
    assert model.calibration == Calibration(2.0, 0.75)
    torch.testing.assert_close(model.probabilities(photo), torch.softmax(plain.log() / 2, dim=0))


def test_an_artifact_of_before_there_was_calibration_still_loads(artifact: Path) -> None:
    assert "calibration" not in json.loads((artifact / ArtifactFile.MODEL).read_text())
    assert load_artifact(artifact).calibration == UNCALIBRATED


@pytest.mark.parametrize(
    "given", [{}, [], {"temperature": 0, "confident_from": None}, {"temperature": 1, "confident_from": 2}, "hot"]
)
def test_a_damaged_calibration_is_an_artifact_error(artifact: Path, given: object) -> None:
    model = json.loads((artifact / ArtifactFile.MODEL).read_text())
    (artifact / ArtifactFile.MODEL).write_text(json.dumps(model | {"calibration": given}))
    with pytest.raises(ArtifactError, match="damaged"):
        load_artifact(artifact)
