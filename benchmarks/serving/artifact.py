"""The artifact that the servers are compared with: ResNet50, random weights, made as a training leaves one.

Random weights take the same time and say nothing about accuracy; which engine answers rightly is measured elsewhere,
with trained models. So that an engine is not refused here for what a random network says, its answers are made plain:
batch norms know real photos' statistics, and the head's bias decides.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from contract.classes import Classes
from contract.names import ArtifactFile
from training.photo_list import class_folders, list_files
from training.photo_set import PhotoReader
from training.quantisation import leave_quantised
from training.serving_code import copy_serving_code
from vision.backbones import build_backbone
from vision.check_photos import CHECK_PHOTOS, CheckPhotos
from vision.classifier import Classifier, load_artifact, save_artifact
from vision.decoding import decode
from vision.preprocessing import Preprocessing

ROOT: Final = Path(__file__).parents[2]
DOGS: Final = ROOT.parent / "shared" / "data" / "dogs"
CLASSES: Final = 133  # the breeds of the product
_BATCH: Final = 32
_NORMED_WITH: Final = 64  # photos: enough for means and variances, two batches
_BIAS: Final = 10.0  # the features' part of a logit is about 1


def photos_in(folder: Path) -> list[Path]:
    """Return every .jpg below ``folder``.

    Raises:
        SystemExit: there is none; the message says which option names another folder.
    """
    found = sorted(folder.rglob("*.jpg"))
    if not found:
        raise SystemExit(f"{folder} holds no .jpg: give --photos, a folder with test/, valid/ and train/")
    return found


def make_artifact(base: Path, photos: Path) -> Path:
    """Write an artifact with check photos, quantised network and serving code into ``base``/model, and return that.

    Args:
        base: becomes SAGEMAKER_BASE_DIR.
        photos: a folder with valid/ and train/.
    """
    torch.manual_seed(0)
    model_dir = base / "model"
    backbone = build_backbone("resnet50")
    spec = backbone.preprocessing
    classifier = Classifier(backbone, nn.Linear(backbone.feature_dim, CLASSES))
    learn_statistics(classifier, spec.normalise(scaled(photos_in(photos / "train")[:_NORMED_WITH], spec)))
    with torch.no_grad():
        classifier.head.bias[0] += _BIAS
    classes = Classes(tuple(f"{number:03}.Breed_{number}" for number in range(1, CLASSES + 1)))
    save_artifact(model_dir, classifier.eval(), classes, {"test_accuracy": 0.0})
    valid = scaled(photos_in(photos / "valid")[:CHECK_PHOTOS], spec)
    logits = eager_logits(classifier, spec.normalise(valid)).numpy()
    check = CheckPhotos(valid.numpy(), np.zeros(len(valid), np.int64), logits)
    check.save(model_dir / ArtifactFile.CHECK)
    copy_serving_code(ROOT, model_dir)
    train = list_files(photos / "train", class_folders(photos / "train"))
    said = leave_quantised(load_artifact(model_dir), train, PhotoReader(photos), check, model_dir)
    if not said["kept"]:
        raise RuntimeError(f"no quantised network: {said['reason']}")
    return model_dir


def scaled(paths: list[Path], spec: Preprocessing) -> Tensor:
    """Return photos as the network gets them: (N, 3, crop, crop) uint8."""
    return torch.stack([spec.scale(decode(path.read_bytes())) for path in paths])


@torch.no_grad()
def learn_statistics(classifier: Classifier, photos: Tensor) -> None:
    """Let the batch norms see photos (N, 3, crop, crop): untrained ones let values grow from block to block."""
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a mean over all batches
    classifier.train()
    for batch in torch.split(photos, _BATCH):
        classifier(batch)


@torch.inference_mode()
def eager_logits(classifier: Classifier, photos: Tensor) -> Tensor:
    """Map photos (N, 3, crop, crop) to logits (N, classes)."""
    return torch.cat([classifier(batch) for batch in torch.split(photos, _BATCH)])
