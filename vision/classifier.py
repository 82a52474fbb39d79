"""The classifier (backbone and head) and its artifact: a folder from which serving restores what was trained."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from contract.classes import Classes
from contract.names import ArtifactFile
from vision.backbones import Backbone, build_backbone
from vision.calibration import UNCALIBRATED, Calibration
from vision.pixels import Picture
from vision.preprocessing import Preprocessing
from vision.torch_files import load_tensors

FORMAT: Final = 1


class ArtifactError(Exception):
    """A model folder that cannot be restored; the message names the file."""


class Classifier(nn.Module):
    """Backbone and head: photos (N, 3, crop, crop) in, logits (N, classes) out."""

    def __init__(self, backbone: Backbone, head: nn.Linear) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, photos: Tensor) -> Tensor:
        """Map photos (N, 3, crop, crop) to logits (N, classes)."""
        logits: Tensor = self.head(self.backbone(photos))
        return logits


@dataclass(frozen=True)
class ModelCard:
    """All that an artifact says of its network, without the weights."""

    backbone: str
    feature_dim: int
    classes: Classes
    preprocessing: Preprocessing
    metrics: dict[str, Any]
    calibration: Calibration = UNCALIBRATED


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to predict: the classifier in eval mode and all that belongs to it."""

    classifier: Classifier
    classes: Classes
    preprocessing: Preprocessing
    metrics: dict[str, Any]
    calibration: Calibration = UNCALIBRATED

    @torch.inference_mode()
    def probabilities(self, photo: Picture) -> Tensor:
        """Return the calibrated probability of every class for one upright RGB photo: (classes,), summing to 1."""
        device = self.classifier.head.weight.device
        batch = self.preprocessing.apply(photo).unsqueeze(0).to(device)  # (1, 3, crop, crop)
        return self.calibration.probabilities(self.classifier(batch)[0]).cpu()


def save_artifact(directory: Path, classifier: Classifier, classes: Classes, metrics: Mapping[str, Any]) -> None:
    """Write the model's files (``contract.names.ArtifactFile``, except the code) into ``directory``, uncalibrated.

    The weights come last, by renaming: a folder with weights is complete.
    """
    directory.mkdir(parents=True, exist_ok=True)
    model = {
        "format": FORMAT,
        "backbone": classifier.backbone.name,
        "feature_dim": classifier.backbone.feature_dim,
        "classes": len(classes),
    }
    _write_json(directory / ArtifactFile.MODEL, model)
    save_metrics(directory, metrics)
    classes.save(directory / ArtifactFile.CLASSES)
    classifier.backbone.preprocessing.save(directory / ArtifactFile.PREPROCESSING)
    partial = directory / f"{ArtifactFile.WEIGHTS}.partial"
    torch.save({key: value.cpu() for key, value in classifier.state_dict().items()}, partial)
    partial.replace(directory / ArtifactFile.WEIGHTS)


def save_metrics(directory: Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics.json, replacing what was known before the test."""
    _write_json(directory / ArtifactFile.METRICS, dict(metrics))


def save_calibration(directory: Path, calibration: Calibration) -> None:
    """Write into a saved model what its validation showed: it can only be measured on what has been saved."""
    path = directory / ArtifactFile.MODEL
    _write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"calibration": calibration.as_dict()})


def _write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
    partial.replace(path)


def load_card(directory: Path) -> ModelCard:
    """Read what the model in ``directory`` is, which takes no time: everything but its weights.

    Raises:
        ArtifactError: a file is missing, damaged or does not fit the others.
    """
    with _reading(directory, ArtifactFile.MODEL) as path:
        model = json.loads(path.read_text(encoding="utf-8"))
        if model["format"] != FORMAT:
            raise ArtifactError(f"{directory}: artifact format {model['format']}, this code reads format {FORMAT}")
        backbone, feature_dim = str(model["backbone"]), int(model["feature_dim"])
        calibration = Calibration.from_dict(model.get("calibration"))
    with _reading(directory, ArtifactFile.CLASSES) as path:
        classes = Classes.load(path)
    with _reading(directory, ArtifactFile.PREPROCESSING) as path:
        preprocessing = Preprocessing.load(path)
    with _reading(directory, ArtifactFile.METRICS) as path:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    return ModelCard(backbone, feature_dim, classes, preprocessing, metrics, calibration)


def load_artifact(directory: Path) -> LoadedModel:
    """Restore the model in ``directory`` on the CPU, in eval mode; needs no network and no pretrained weights.

    Raises:
        ArtifactError: a file is missing, damaged or does not fit the others.
    """
    card = load_card(directory)
    with _reading(directory, ArtifactFile.MODEL):
        backbone = build_backbone(card.backbone)
    with _reading(directory, ArtifactFile.WEIGHTS) as path:
        classifier = Classifier(backbone, nn.Linear(backbone.feature_dim, len(card.classes)))
        classifier.load_state_dict(load_tensors(path), strict=True)
    return LoadedModel(classifier.eval(), card.classes, card.preprocessing, card.metrics, card.calibration)


@contextmanager
def _reading(directory: Path, name: str) -> Iterator[Path]:
    """Give the path of a file of the artifact; turn what a missing or damaged one raises into an error that names it.

    Raises:
        ArtifactError: it is missing, damaged or cannot be read.
    """
    try:
        yield directory / name
    except FileNotFoundError as error:
        raise ArtifactError(f"{directory} is no model: {error.filename} is missing") from error
    except OSError as error:
        raise ArtifactError(f"the model in {directory} cannot be read: {name}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ArtifactError(f"the model in {directory} is damaged: {name}: {reason}") from error
