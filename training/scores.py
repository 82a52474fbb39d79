"""Loss and accuracy of logits, as true means over all photos: the same number for every batch size."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy (nats) and fraction of right answers over one set of photos."""

    loss: float
    accuracy: float

    def better_than(self, other: "Score") -> bool:
        """More accurate, or as accurate with a lower loss; a loss that is no number is never better."""
        if not math.isfinite(self.loss):
            return False
        if not math.isfinite(other.loss):
            return True
        return (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


def score(logits: Tensor, labels: Tensor) -> Score:
    """Return the score of logits (N, classes) against labels (N,); N is at least 1."""
    with torch.no_grad():
        loss = functional.cross_entropy(logits.float(), labels)
        right = (logits.argmax(dim=1) == labels).float().mean()
    return Score(float(loss), float(right))


class RunningScore:
    """Adds up the scores of batches to the mean per photo."""

    def __init__(self) -> None:
        self._photos = 0
        self._loss = 0.0
        self._right = 0

    def add(self, logits: Tensor, labels: Tensor, mean_loss: float) -> None:
        """Count one batch: logits (N, classes), labels (N,) and its mean loss."""
        self._photos += len(labels)
        self._loss += mean_loss * len(labels)
        self._right += int((logits.argmax(dim=1) == labels).sum())

    def mean(self) -> Score:
        """Return the mean over all photos so far."""
        photos = max(self._photos, 1)
        return Score(self._loss / photos, self._right / photos)
