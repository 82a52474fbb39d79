"""Bytes to the pixels that networks see: the one way of training, evaluation and serving.

A plain JPEG goes through torchvision's libjpeg binding, which leaves the pixels that Pillow leaves in less time and
without a copy. Pillow does everything else: it reads every header first, reduces large photos while they are decoded,
and has the last word on what is damaged.
"""

import struct
from functools import cache
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor

from contract.inference import MAX_PHOTO_PIXELS
from vision.photos import SHORT_SIDE, load_values, open_photo, orientation, reduction
from vision.pixels import Pixels

_RGB: Final = 3  # torchvision.io.ImageReadMode.RGB
_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"
_FILL: Final = 0xFF
_START_OF_SCAN: Final = 0xDA
# Baseline, extended and progressive frames with Huffman codes: what cameras and browsers write.
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
# Huffman and quantisation tables, restart interval, APP0 to APP15, comment: segments that give their own length.
_SEGMENTS: Final = frozenset({0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE})


def decode(data: bytes, max_pixels: int = MAX_PHOTO_PIXELS, short_side: int = SHORT_SIDE) -> Pixels:
    """Return the photo in ``data`` upright (EXIF), in RGB.

    A large JPEG is decoded at a half, a quarter or an eighth of its size, whichever leaves at least ``short_side``.

    Raises:
        vision.photos.PhotoError: empty, no image, damaged or truncated; its subclasses: an unsupported format, too many
            pixels. Nothing is decoded before the header's checks.
    """
    return decode_opened(data, open_photo(data, max_pixels), short_side)


def decode_opened(data: bytes, image: Image.Image, short_side: int = SHORT_SIDE) -> Pixels:
    """Return the photo that ``open_photo`` made of ``data``, as ``decode`` does.

    Raises:
        vision.photos.PhotoError: damaged or truncated.
    """
    values = _decode_plain(data, image) if reduction(image, short_side) == 1 else None
    return Pixels.of_values(load_values(image, short_side).values) if values is None else Pixels(values)


def _decode_plain(data: bytes, image: Image.Image) -> Tensor | None:
    """Return (3, height, width) uint8, or None where Pillow has to look at it."""
    operator = _operator()
    if operator is None or image.mode != "RGB" or plain_jpeg_size(data) != image.size or orientation(image) != 1:
        return None
    try:
        values: Tensor = operator(torch.frombuffer(bytearray(data), dtype=torch.uint8), _RGB, False)
    except RuntimeError:  # damaged: what Pillow makes of it counts
        return None
    return values if values.shape == (3, image.height, image.width) else None


@cache
def _operator() -> Any:
    """Return torchvision's decoder, or None where this torchvision has none.

    The operator, not ``torchvision.io.decode_jpeg``, which since 0.29 warns at every call that it will be removed.
    """
    try:
        import torchvision.io  # noqa: F401  # makes the operator known; the backbones import it anyway

        return torch.ops.image.decode_jpeg
    except (ImportError, AttributeError):
        return None


def plain_jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG that no two decoders can read differently, else None.

    One frame of 8 bits and three components before the first scan, and nothing but segments that give their length: so
    the size that was checked is the size that is decoded, whatever a forged header hides.
    """
    if not (data.startswith(_START) and data.endswith(_END)):
        return None
    size, at = None, 2
    while at + 4 <= len(data):
        fill, marker, length = struct.unpack_from(">BBH", data, at)
        if fill != _FILL or length < 2:
            return None
        if marker == _START_OF_SCAN:
            return size
        if marker in _FRAMES:
            if size is not None or at + 10 > len(data):
                return None
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if (bits, components) != (8, 3):
                return None
            size = (width, height)
        elif marker not in _SEGMENTS:
            return None
        at += 2 + length
    return None
