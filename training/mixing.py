"""Mixup and CutMix: two photos and their labels blended into one."""

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.augmentation import box_of_area


@dataclass(frozen=True)
class Mixing:
    """What photos are blended with: alphas of Beta distributions, 0 for not at all; with both, one by lot."""

    mixup: float
    cutmix: float
    classes: int

    def mixed(self, photos: Tensor, labels: Tensor, rng: random.Random) -> tuple[Tensor, Tensor]:
        """Return photos (N, 3, H, W) blended with each other, and the targets (N, classes) that belong to them.

        mixup: Zhang et al. 2017, arXiv 1710.09412; CutMix: Yun et al. 2019, arXiv 1905.04899.
        """
        targets = functional.one_hot(labels, self.classes).float()  # (N, classes)
        other = torch.tensor(rng.sample(range(len(labels)), len(labels)), device=photos.device, dtype=torch.long)
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
