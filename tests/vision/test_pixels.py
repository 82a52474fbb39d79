import random

import numpy as np
import pytest
import torch
from PIL import Image

from vision.pixels import Interpolation, Pixels

METHODS: dict[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def scenery(width: int, height: int, detail: int) -> Image.Image:
    """Return an image whose details are ``detail`` pixels large."""
    values = np.random.default_rng(0).integers(0, 256, (-(-height // detail), -(-width // detail), 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


def test_size_is_width_and_height() -> None:
    assert Pixels.of(Image.new("RGB", (30, 20))).size == (30, 20)


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("box", [(0, 0, 400, 300), (100, 100, 150, 150)])
def test_whole_boxes_have_pillows_pixels(interpolation: Interpolation, box: tuple[int, int, int, int]) -> None:
    image = scenery(400, 300, detail=2)
    theirs = image.resize((224, 224), METHODS[interpolation], box=box)
    ours = Pixels.of(image).scaled(box, 224, interpolation)
    assert (ours.int() - Pixels.of(theirs).values.int()).abs().max() <= 3


@pytest.mark.parametrize("interpolation", METHODS)
def test_boxes_between_pixels_have_nearly_pillows_pixels(interpolation: Interpolation) -> None:
    rng, image = random.Random(0), scenery(500, 375, detail=8)
    for _ in range(30):
        left, top, side = rng.uniform(0, 150), rng.uniform(0, 60), rng.uniform(230, 310)
        box = (left, top, left + side, top + side)
        theirs = Pixels.of(image.resize((224, 224), METHODS[interpolation], box=box)).values.int()
        difference = (Pixels.of(image).scaled(box, 224, interpolation).int() - theirs).abs().float()
        assert difference.mean() <= 2  # of 255: an offset of less than 0.1 pixel
        assert difference.max() <= 16


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 1), (5, 4), (16, 16), (3000, 1), (1, 70_000), (223, 225)])
def test_any_box_of_any_photo_has_the_size_asked_for(size: tuple[int, int]) -> None:
    rng, pixels = random.Random(0), Pixels.of(Image.new("RGB", size, (9, 9, 9)))
    boxes = [(0.0, 0.0, float(size[0]), float(size[1]))]
    for _ in range(50):
        width, height = (min(side, 900) * rng.uniform(0.6, 1) for side in size)
        left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
        boxes.append((left, top, left + width, top + height))
    for box in boxes:
        scaled = pixels.scaled(box, 224, "bicubic")
        assert scaled.shape == (3, 224, 224)
        assert torch.all(scaled == 9)
