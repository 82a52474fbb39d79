"""Measures a finished model on a split exactly as serving will use it: read from its artifact, photo by photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from training.environment import JobInputError
from training.photo_batches import photo_batches
from training.photo_set import LabelledPhoto, PhotoReader
from training.scores import Score, score
from vision.classifier import LoadedModel


@dataclass(frozen=True)
class Evaluation:
    """The score on one split, and counts[true class][predicted class]."""

    score: Score
    confusion: list[list[int]]


def evaluate(model: LoadedModel, photos: Sequence[LabelledPhoto], reader: PhotoReader) -> Evaluation:
    """Return how good ``model`` is on ``photos``, through decode, the artifact's preprocessing and its classifier.

    Raises:
        JobInputError: not one of the photos can be decoded.
    """

    def transform(number: int, image: Image.Image) -> Tensor:
        return model.preprocessing.apply(image).unsqueeze(0)

    device = model.classifier.head.weight.device
    logits, labels = [], []
    for batch in photo_batches(photos, reader, transform, batch_size=16):
        with torch.inference_mode():
            logits.append(model.classifier(batch.views[:, 0].to(device)).float().cpu())  # (N, classes)
        labels.append(batch.labels)
    if not logits:
        raise JobInputError(f"not one of {len(photos)} photos can be decoded, the first is {photos[0].path}")
    truth, answers = torch.cat(labels), torch.cat(logits)
    confusion = torch.zeros(answers.shape[1], answers.shape[1], dtype=torch.int64)
    confusion.index_put_((truth, answers.argmax(dim=1)), torch.ones_like(truth), accumulate=True)
    rows: list[list[int]] = confusion.tolist()
    return Evaluation(score(answers, truth), rows)
