"""Photos of what a model of dog breeds does not know: drawn dogs, drawn scenes without any, textures."""

import io
import random
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.toy import draw_photo, toy_photos
from training.toy_scene import draw_scene, draw_toys, light

PHOTOS: Final = 60
_SIDE: Final = 240


def drawn_dog(number: int) -> Image.Image:
    """Return a dog of an invented breed: the hardest, since it is a dog."""
    photos = toy_photos(seed=7)
    return Image.open(io.BytesIO(draw_photo(photos[number * 8 % len(photos)]))).convert("RGB")


def scene(number: int) -> Image.Image:
    """Return a meadow, beach, room or street with things that lie around and no animal."""
    rng = random.Random(number)
    horizon = rng.uniform(0.45, 0.7)
    picture = draw_scene(rng, (640, 480), horizon)
    draw_toys(rng, picture, horizon)
    return light(rng, picture.reduce(2))


def texture(number: int) -> Image.Image:
    """Return noise, a blur of colours, stripes or a chequered board."""
    rng = np.random.default_rng(number)
    kind = number % 4
    if kind == 0:
        return Image.fromarray(rng.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8))
    if kind == 1:
        few = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        return few.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    y, x = np.mgrid[:_SIDE, :_SIDE]
    if kind == 2:
        across, down = rng.uniform(0.02, 0.4, 2)
        return _two_colours(rng, 0.5 + 0.5 * np.sin(x * across + y * down))
    square = int(rng.integers(4, 40))
    return _two_colours(rng, (x // square + y // square) % 2)


def _two_colours(rng: np.random.Generator, mix: NDArray[np.generic]) -> Image.Image:
    """Return the blend of two drawn colours by ``mix`` (H, W), 0 to 1."""
    first, second = rng.integers(0, 256, (2, 3))
    share = mix[..., None].astype(np.float64)  # (H, W, 1)
    return Image.fromarray((share * first + (1 - share) * second).astype(np.uint8))


STRANGERS: Final[Mapping[str, Callable[[int], Image.Image]]] = {
    "drawn_dogs": drawn_dog,
    "scenes": scene,
    "textures": texture,
}
