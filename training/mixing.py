"""Mixup and CutMix: two photos and their labels blended into one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from training.augmentation import box_of_area


@dataclass(frozen=True)
class Mixing:
    """What photos are blended with: alphas of Beta distributions, 0 for not at all; with both, one by lot.

    Photos are blended in pairs of neighbours, which the plan keeps together, with lots drawn once per batch: so neither
    the memory at hand nor the number of processes changes what is learned.
    """

    mixup: float
    cutmix: float
    classes: int

    def mixed(self, photos: Tensor, labels: Tensor, other: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
        """Return photos (N, 3, H, W) blended with each other, and the targets (N, classes) that belong to them.

        mixup: Zhang et al. 2017, arXiv 1710.09412; CutMix: Yun et al. 2019, arXiv 1905.04899.

        Args:
            photos: (N, 3, H, W).
            labels: (N,).
            other: (N,), the number of the photo that each is blended with; its own: it stays as it is.
            rng: draws the same for every part of a batch.
        """
        targets = functional.one_hot(labels, self.classes).float()  # (N, classes)
        if self.cutmix and (not self.mixup or rng.random() < 0.5):
            photos, kept = self._cut(photos, other, rng)
        else:
            kept = rng.betavariate(self.mixup, self.mixup)
            photos = kept * photos + (1 - kept) * photos[other]
        return photos, kept * targets + (1 - kept) * targets[other]

    def _cut(self, photos: Tensor, other: Tensor, rng: random.Random) -> tuple[Tensor, float]:
        """Return the photos with one box from each one's other, and the share of pixels that stayed."""
        height, width = photos.shape[2:]
        pasted = 1 - rng.betavariate(self.cutmix, self.cutmix)
        top, left, bottom, right = box_of_area(height, width, pasted, 1.0, rng)
        photos = photos.clone()
        photos[:, :, top:bottom, left:right] = photos[other, :, top:bottom, left:right]
        return photos, 1 - (bottom - top) * (right - left) / (height * width)


def partners(positions: Sequence[int]) -> list[int]:
    """Return for each of the photos that are there which of them is its pair's other one; itself where that is missing.

    Args:
        positions: of the photos within their micro-batch, of which 2i and 2i + 1 are a pair.
    """
    found = {position: number for number, position in enumerate(positions)}
    return [found.get(position ^ 1, number) for position, number in found.items()]
