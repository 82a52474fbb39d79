"""Measures a finished model on a split exactly as serving will use it: read from its artifact, photo by photo."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from training.calibration import Bin, expected_calibration_error, reliability
from training.environment import JobInputError
from training.photo_batches import photo_batches
from training.photo_set import LabelledPhoto, PhotoReader
from training.scores import Score, score
from vision.calibration import Calibration
from vision.classifier import LoadedModel
from vision.pixels import Picture


@dataclass(frozen=True)
class Evaluation:
    """What the network said to one split: logits (N, classes), labels (N,), and how logits are read.

    ``photos`` are the N that could be decoded, in the same order; empty where nobody asks which they were. ``scaled``
    are those of them that were to be kept, (3, crop, crop) uint8 each, by their places among the N.
    """

    logits: Tensor
    labels: Tensor
    calibration: Calibration
    photos: tuple[LabelledPhoto, ...] = ()
    scaled: Mapping[int, Tensor] = field(default_factory=dict)

    def read_with(self, calibration: Calibration) -> "Evaluation":
        """Return the same logits, read another way."""
        return dataclasses.replace(self, calibration=calibration)

    @property
    def probabilities(self) -> Tensor:
        """What serving would answer: (N, classes)."""
        return self.calibration.probabilities(self.logits)

    @property
    def score(self) -> Score:
        """Loss and accuracy of the probabilities."""
        return score(self.logits / self.calibration.temperature, self.labels)

    @property
    def bins(self) -> tuple[Bin, ...]:
        """How often photos are named right, by how probable the answer was held."""
        return reliability(self.probabilities, self.labels)

    @property
    def calibration_error(self) -> float:
        """How far probabilities and accuracy are apart on average, 0 to 1."""
        return expected_calibration_error(self.bins)

    @property
    def confident(self) -> float | None:
        """The share of the photos that the model is sure of; None where it is not asked."""
        threshold = self.calibration.confident_from
        return None if threshold is None else float((self.probabilities.amax(dim=1) >= threshold).float().mean())

    @property
    def confusion(self) -> list[list[int]]:
        """How many photos, by [true class][predicted class]."""
        classes = self.logits.shape[1]
        counts = torch.zeros(classes, classes, dtype=torch.int64)
        counts.index_put_((self.labels, self.logits.argmax(dim=1)), torch.ones_like(self.labels), accumulate=True)
        rows: list[list[int]] = counts.tolist()
        return rows


def evaluate(
    model: LoadedModel, photos: Sequence[LabelledPhoto], reader: PhotoReader, keep: Collection[int] = ()
) -> Evaluation:
    """Return how good ``model`` is on ``photos``, through decode, the artifact's preprocessing and its classifier.

    Args:
        model: in float32, read from its artifact.
        photos: of one split.
        reader: decodes them.
        keep: the numbers of the photos to hand over as the network saw them, but for what cannot be decoded.

    Raises:
        JobInputError: not one of the photos can be decoded.
    """
    decoded: list[int] = []
    kept: dict[int, Tensor] = {}

    def transform(number: int, image: Picture) -> Tensor:
        scaled = model.preprocessing.scale(image)  # (3, crop, crop) uint8
        decoded.append(number)  # by several threads, in any order
        if number in keep:
            kept[number] = scaled.clone()
        return model.preprocessing.normalise(scaled).unsqueeze(0)

    device = model.classifier.head.weight.device
    logits, labels = [], []
    for batch in photo_batches(photos, reader, transform, batch_size=16):
        with torch.inference_mode():
            logits.append(model.classifier(batch.views[:, 0].to(device)).float().cpu())  # (N, classes)
        labels.append(batch.labels)
    if not logits:
        raise JobInputError(f"not one of {len(photos)} photos can be decoded, the first is {photos[0].path}")
    seen = sorted(decoded)
    return Evaluation(
        torch.cat(logits),
        torch.cat(labels),
        model.calibration,
        tuple(photos[number] for number in seen),
        {place: kept[number] for place, number in enumerate(seen) if number in kept},
    )


def by_class(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Return a row per class: how many photos of it, the share named right, and what the others were taken for."""
    return [
        {
            "label": label,
            "photos": sum(row),
            "accuracy": row[index] / sum(row) if sum(row) else None,
            "taken_for": {labels[other]: count for other, count in enumerate(row) if count and other != index},
        }
        for index, (label, row) in enumerate(zip(labels, confusion, strict=True))
    ]
