"""Augmentation: another crop of the photo, sometimes mirrored; where the recipe wants it, other pixels, too."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from contract.recipe import LARGEST_MAGNITUDE
from vision.pixels import Picture
from vision.preprocessing import Preprocessing

# Milder than ImageNet's usual 0.08 to 1: with few photos of pretrained classes small crops only cost accuracy.
SMALLEST_AREA: Final = 0.5
WIDEST_RATIO: Final = 4 / 3
# RandAugment's N: how many changes each photo gets.
CHANGES: Final = 2
# Random erasing's box, as in its paper (Zhong et al. 2017, arXiv 1708.04896).
ERASED_AREA: Final = (0.02, 0.33)
ERASED_RATIO: Final = 3.3


@dataclass(frozen=True)
class PixelChanges:
    """What happens to the pixels of a view: RandAugment's magnitude (0: off), and the probability of a blank box."""

    randaugment: int = 0
    random_erasing: float = 0.0

    def apply(self, view: Tensor, preprocessing: Preprocessing, rng: random.Random) -> Tensor:
        """Return a preprocessed view (3, crop, crop) changed at random."""
        if self.randaugment:
            view = _randaugment(view, preprocessing, self.randaugment, rng)
        if rng.random() < self.random_erasing:
            height, width = view.shape[1:]
            top, left, bottom, right = box_of_area(height, width, rng.uniform(*ERASED_AREA), ERASED_RATIO, rng)
            view = view.clone()
            view[:, top:bottom, left:right] = 0  # the mean colour
        return view


NO_CHANGES: Final = PixelChanges()


def augmented(
    image: Picture, preprocessing: Preprocessing, rng: random.Random, changes: PixelChanges = NO_CHANGES
) -> Tensor:
    """Return a random crop of an RGB image, mirrored half of the time, as (3, crop, crop) float32."""
    view = preprocessing.apply_to_box(image, random_box(*image.size, rng))
    return changes.apply(view.flip(2) if rng.random() < 0.5 else view, preprocessing, rng)


def random_box(width: int, height: int, rng: random.Random) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of a part with 50 to 100 % of the area and a ratio from 3:4 to 4:3.

    Where the photo is too long for any such part, the part is as large as fits.
    """
    area = width * height * rng.uniform(SMALLEST_AREA, 1.0)
    ratio = math.exp(rng.uniform(-math.log(WIDEST_RATIO), math.log(WIDEST_RATIO)))
    box_width, box_height = math.sqrt(area * ratio), math.sqrt(area / ratio)
    shrink = min(1.0, width / box_width, height / box_height)
    box_width, box_height = min(box_width * shrink, width), min(box_height * shrink, height)
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    return left, top, left + box_width, top + box_height


def box_of_area(
    height: int, width: int, share: float, widest_ratio: float, rng: random.Random
) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) in whole pixels of a box with about ``share`` of the area, placed at random."""
    ratio = math.exp(rng.uniform(-math.log(widest_ratio), math.log(widest_ratio)))
    box_height = min(height, round(height * math.sqrt(share / ratio)))
    box_width = min(width, round(width * math.sqrt(share * ratio)))
    top, left = rng.randint(0, height - box_height), rng.randint(0, width - box_width)
    return top, left, top + box_height, left + box_width


def photo_rng(seed: int, epoch: int, number: int) -> random.Random:
    """Return the random numbers for one photo in one epoch: the same again after a restart, whatever the threads do."""
    return random.Random(f"{seed}/{epoch}/{number}")


def _randaugment(view: Tensor, preprocessing: Preprocessing, magnitude: int, rng: random.Random) -> Tensor:
    """Change a preprocessed view by CHANGES operations of RandAugment (Cubuk et al. 2019, arXiv 1909.13719)."""
    mean = torch.tensor(preprocessing.mean).view(3, 1, 1)
    std = torch.tensor(preprocessing.std).view(3, 1, 1)
    pixels = view.mul(std).add_(mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)  # (3, crop, crop)
    operations = _operations()
    for _ in range(CHANGES):
        strength = rng.choice((-1, 1)) * magnitude / LARGEST_MAGNITUDE
        pixels = operations[rng.randrange(len(operations))](pixels, strength)
    return pixels.float().div_(255).sub_(mean).div_(std)


def _operations() -> list[Callable[[Tensor, float], Tensor]]:
    """Return RandAugment's operations on (3, H, W) uint8 with a strength from -1 to 1; scales as in torchvision's.

    torchvision's own class draws from the process's one generator, which threads and restarts would leave in different
    places; its functions draw nothing.
    """
    from torchvision.transforms.v2 import functional as change

    def moved(
        x: Tensor, angle: float = 0, right: float = 0, down: float = 0, shear: tuple[float, float] = (0, 0)
    ) -> Any:
        side = 150 / 331 * x.shape[2]
        return change.affine(x, angle, [round(side * right), round(side * down)], 1.0, list(shear))

    shear = math.degrees(math.atan(0.3))
    return [
        lambda x, s: x,
        lambda x, s: moved(x, shear=(s * shear, 0)),
        lambda x, s: moved(x, shear=(0, s * shear)),
        lambda x, s: moved(x, right=s),
        lambda x, s: moved(x, down=s),
        lambda x, s: moved(x, angle=30 * s),
        lambda x, s: change.adjust_brightness(x, 1 + 0.9 * s),
        lambda x, s: change.adjust_saturation(x, 1 + 0.9 * s),
        lambda x, s: change.adjust_contrast(x, 1 + 0.9 * s),
        lambda x, s: change.adjust_sharpness(x, 1 + 0.9 * s),
        lambda x, s: change.posterize(x, 8 - round(4 * abs(s))),
        lambda x, s: change.solarize(x, 255 * (1 - abs(s))),
        lambda x, s: change.autocontrast(x),
        lambda x, s: change.equalize(x),
    ]
