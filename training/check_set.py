"""A few photos that stand for a split: which ones, and what the trained network says of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.evaluation import Evaluation
from vision.check_photos import CheckPhotos

_Numbers = NDArray[np.int64]


def spread_over_classes(labels: _Numbers, most: int) -> _Numbers:
    """Return the numbers of at most ``most`` photos, in order: as many of each class, as far apart as its photos allow.

    Args:
        labels: the class of every photo, (N,).
        most: where there are fewer photos, all of them.
    """
    counts = np.bincount(labels)
    shares = np.zeros_like(counts)
    while left := min(most, len(labels)) - int(shares.sum()):
        with_more = np.flatnonzero(shares < counts)
        shares[with_more[np.arange(min(left, len(with_more))) * len(with_more) // min(left, len(with_more))]] += 1
    chosen = [
        np.flatnonzero(labels == label)[np.arange(share) * count // share]
        for label, (share, count) in enumerate(zip(shares, counts, strict=True))
        if share
    ]
    return np.sort(np.concatenate(chosen))


def check_photos_of(evaluation: Evaluation) -> CheckPhotos:
    """Return the photos that ``evaluation`` kept, with their labels and the logits of the network as it was trained."""
    places: Final = list(evaluation.scaled)
    return CheckPhotos(
        np.stack([evaluation.scaled[place].numpy() for place in places]),  # (N, 3, crop, crop)
        evaluation.labels[places].numpy(),
        evaluation.logits[places].numpy(),
    )
