"""A decoded photo as a tensor, and any part of it scaled to what a network takes."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["bilinear", "bicubic"]
Box = tuple[float, float, float, float]
# A bicubic kernel reaches two pixels, of the photo or of the output, whichever are larger: so much is scaled beyond the
# box, where the photo goes on, for its border to look as it does in the whole photo.
_REACH: Final = 2
# So many output pixels more may be added for what is scaled to begin on a whole pixel of the photo: 5 % more work at
# 224 pixels, and an offset below 0.1 pixel nearly always.
_CHOICE: Final = 8


@dataclass(frozen=True)
class Pixels:
    """An upright RGB photo: (3, height, width) uint8; decoders leave it with the channels next to each other."""

    values: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in Pillow's order."""
        return self.values.shape[2], self.values.shape[1]

    @classmethod
    def of(cls, image: Image.Image) -> "Pixels":
        """Return the pixels of an RGB image."""
        return cls.of_values(np.array(image))

    @classmethod
    def of_values(cls, values: NDArray[np.uint8]) -> "Pixels":
        """Return the pixels of an RGB array (height, width, 3), which is not copied."""
        return cls(torch.from_numpy(values).permute(2, 0, 1))  # (3, height, width)

    def scaled(self, box: Box, side: int, interpolation: Interpolation) -> Tensor:
        """Return the part ``box`` (left, top, right, bottom) as (3, side, side) uint8, antialiased.

        A box may begin between two pixels. Only the box is scaled: a photo of 64,000,000 x 1 pixels costs no memory.
        """
        width, height = self.size
        left, top, right, bottom = box
        columns, rows = _span(left, right, width, side), _span(top, bottom, height, side)
        part = self.values[None, :, rows.start : rows.stop, columns.start : columns.stop]  # (1, 3, h, w)
        scaled = functional.interpolate(part, (rows.outputs, columns.outputs), mode=interpolation, antialias=True)
        return scaled[0, :, rows.before : rows.before + side, columns.before : columns.before + side]


# What preprocessing takes: what decoders leave, or an image that was drawn.
Picture = Pixels | Image.Image


@dataclass(frozen=True)
class _Span:
    """Pixels ``start`` to ``stop`` of one axis, scaled to ``outputs``, of which the first ``before`` are not wanted."""

    start: int
    stop: int
    outputs: int
    before: int


def _span(low: float, high: float, length: int, side: int) -> _Span:
    """Return whole pixels around ``low`` to ``high`` of an axis, and whole outputs for them at the same scale."""
    step = (high - low) / side  # photo pixels per output
    before, start = _whole(low, step)
    after, end = _whole(length - high, step)
    start = min(start, length - 1)
    return _Span(start, max(length - end, start + 1), before + side + after, before)


@lru_cache(4096)  # photos of one camera have one size
def _whole(margin: float, step: float) -> tuple[int, int]:
    """Return how many outputs more to scale on a side that has ``margin`` pixels left, and how many that leaves."""
    room = int(max(0.0, margin) / step)
    least = min(room, math.ceil(_REACH / min(step, 1.0)))
    most = min(room, least + max(_CHOICE, math.ceil(1 / step)))

    def offset(outputs: int) -> tuple[float, int]:
        rest = margin - outputs * step
        return round(abs(rest - round(rest)), 2), outputs

    outputs = min(range(least, most + 1), key=offset)
    return outputs, max(0, round(margin - outputs * step))
