"""Light augmentation: another crop of the photo, sometimes mirrored."""

import math
import random
from typing import Final

from PIL import Image
from torch import Tensor

from vision.preprocessing import Preprocessing

# Milder than ImageNet's usual 0.08 to 1: with few photos of pretrained classes small crops only cost accuracy.
SMALLEST_AREA: Final = 0.5
WIDEST_RATIO: Final = 4 / 3


def augmented(image: Image.Image, preprocessing: Preprocessing, rng: random.Random) -> Tensor:
    """Return a random crop of an RGB image, mirrored half of the time, as (3, crop, crop) float32."""
    view = preprocessing.apply_to_box(image, random_box(*image.size, rng))
    return view.flip(2) if rng.random() < 0.5 else view


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


def photo_rng(seed: int, epoch: int, number: int) -> random.Random:
    """Return the random numbers for one photo in one epoch: the same again after a restart, whatever the threads do."""
    return random.Random(f"{seed}/{epoch}/{number}")
