"""Fits what ``vision.calibration`` applies, on validation photos, and measures how well probabilities are meant.

Guo et al. 2017, On Calibration of Modern Neural Networks: temperature scaling (section 4.2), the expected calibration
error and its 15 bins (equation 3 and section 5).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from vision.calibration import UNCALIBRATED, Calibration

BINS: Final = 15
# Far beyond what trained networks need (Guo et al.: 0.9 to 3.1); logits beyond it are wrong, not badly scaled.
COLDEST: Final = 0.05
HOTTEST: Final = 20.0
# Halvings of the range on a logarithmic scale: leave 6 of 1e12 parts of it.
_HALVINGS: Final = 40
# Below it: batches of another size, or a GPU, give other last digits than the measurement.
_THRESHOLD_DIGITS: Final = 4


@dataclass(frozen=True)
class Bin:
    """The photos whose best probability is above ``low`` and at most ``high``."""

    low: float
    high: float
    photos: int
    confidence: float
    accuracy: float


def calibrate(logits: Tensor, labels: Tensor, known_share: float | None) -> Calibration:
    """Return the temperature of logits (N, classes) with labels (N,), and the threshold of being sure.

    Args:
        logits: of photos that the network was not trained on.
        labels: what is on them.
        known_share: share of these photos that the model is to be sure of; None: it is not asked.
    """
    temperature = fit_temperature(logits, labels)
    if known_share is None:
        return Calibration(temperature)
    best = Calibration(temperature).probabilities(logits).amax(dim=1)  # (N,)
    return Calibration(temperature, confident_from(best, known_share))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature at which logits (N, classes) give labels (N,) the lowest mean cross-entropy.

    In 1 / temperature that mean is convex, so its slope, which only rises, is searched for its zero. Where no photo is
    named wrong, colder is always better, down to probabilities of 1, which N photos cannot show: by Laplace's rule of
    succession, after N right answers of N the next one is right with probability (N + 1) / (N + 2). So nothing is made
    colder than the temperature at which the mean probability of the best label is that. The result is never worse than
    1, which is what logits that are no numbers get.
    """
    if not bool(torch.isfinite(logits).all()):
        return UNCALIBRATED.temperature
    z = logits.double()  # (N, classes)
    given = z.gather(1, labels.unsqueeze(1)).squeeze(1)  # (N,)

    def too_cold(temperature: float) -> bool:
        """Return whether the cross-entropy falls as the temperature rises."""
        return float(((torch.softmax(z / temperature, dim=1) * z).sum(dim=1) - given).mean()) > 0

    most_sure = (len(labels) + 1) / (len(labels) + 2)

    def too_sure(temperature: float) -> bool:
        return float(torch.softmax(z / temperature, dim=1).amax(dim=1).mean()) > most_sure

    floor = _search(too_sure, COLDEST, UNCALIBRATED.temperature)
    found = _search(too_cold, floor, HOTTEST)
    better = functional.cross_entropy(z / found, labels) < functional.cross_entropy(z, labels)
    return found if better else UNCALIBRATED.temperature


def _search(too_cold: Callable[[float], bool], low: float, high: float) -> float:
    """Return where ``too_cold``, true below some temperature and false above it, changes; the range's end else."""
    if not too_cold(low):
        return low
    if too_cold(high):
        return high
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_cold(middle) else (low, middle)
    return high


def confident_from(best: Tensor, share: float) -> float:
    """Return the highest threshold, rounded down, that at least ``share`` of the best probabilities (N,) reach."""
    kept = min(max(math.ceil(share * len(best) - 1e-9), 1), len(best))
    threshold = float(best.sort(descending=True).values[kept - 1])
    scale = 10**_THRESHOLD_DIGITS
    return max(math.floor(threshold * scale) / scale, 0.0) if math.isfinite(threshold) else 0.0


def reliability(probabilities: Tensor, labels: Tensor) -> tuple[Bin, ...]:
    """Return the bins that hold any of the probabilities (N, classes) of photos with labels (N,), lowest first."""
    confidence, predicted = probabilities.double().max(dim=1)  # (N,), (N,)
    right = (predicted == labels).double()
    numbers = (torch.ceil(confidence * BINS) - 1).clamp(0, BINS - 1)
    bins = []
    for number in range(BINS):
        inside = numbers == number
        if bool(inside.any()):
            means = float(confidence[inside].mean()), float(right[inside].mean())
            bins.append(Bin(number / BINS, (number + 1) / BINS, int(inside.sum()), *means))
    return tuple(bins)


def expected_calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the mean distance between probability and accuracy over the bins' photos, 0 to 1."""
    photos = sum(each.photos for each in bins)
    return sum(each.photos * abs(each.accuracy - each.confidence) for each in bins) / photos
