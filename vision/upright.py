"""From what a decoder left to an upright RGB array, tile by tile: the memory of one array beside the decoder's own."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[np.uint8]  # (height, width, 3)

# Whatever is done to a tile on the way takes some 20 bytes per pixel: 20 MB.
_TILE_PIXELS: Final = 1 << 20
# So wide at most; it divides into tiles of whole blocks for any reduction up to 8.
_TILE_WIDTH: Final = 840 * 64
_TRANSPARENT: Final = frozenset({"LA", "PA", "RGBA", "RGBa"})


def upright_values(image: Image.Image, orientation: int, factor: int = 1) -> Values:
    """Return a decoded image as an upright RGB array, each side a ``factor``-th, rounded up: means over square blocks.

    Transparency is put on white, and of 16 bits the upper 8 are kept.

    Args:
        image: loaded; any mode.
        orientation: as EXIF counts, 1 (upright) to 8.
        factor: from 1, as it is, to 8.
    """
    width, height = -(-image.width // factor), -(-image.height // factor)
    sideways = orientation >= 5
    upright = np.empty((width, height, 3) if sideways else (height, width, 3), np.uint8)
    lying = _as_stored(upright, orientation)  # (height, width, 3)
    for left, top, right, bottom in _tiles(image.width, image.height, factor):
        whole = (right - left, bottom - top) == image.size
        tile = rgb(image if whole else image.crop((left, top, right, bottom)))
        reduced = np.asarray(tile if factor == 1 else tile.reduce(factor))
        at_row, at_column = top // factor, left // factor
        lying[at_row : at_row + reduced.shape[0], at_column : at_column + reduced.shape[1]] = reduced
    return upright


def _tiles(width: int, height: int, factor: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes that cover an image, each beginning on a whole block."""
    columns = min(width, _TILE_WIDTH)
    rows = max(1, _TILE_PIXELS // columns // factor) * factor
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)


def _as_stored(upright: Values, orientation: int) -> Values:
    """Return a view of an upright photo's array (h, w, 3) that is turned and mirrored as the file stores it."""
    match orientation:
        case 2:
            return upright[:, ::-1]
        case 3:
            return upright[::-1, ::-1]
        case 4:
            return upright[::-1]
        case 5:
            return upright.swapaxes(0, 1)
        case 6:
            return np.rot90(upright)
        case 7:
            return np.rot90(upright, 2).swapaxes(0, 1)
        case 8:
            return np.rot90(upright, -1)
        case _:
            return upright


def rgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB, on white where it is transparent; the very image where it is that already."""
    if image.mode.startswith("I"):  # 16 bits per pixel: convert() would clip everything above 255 to white
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        opaque = image.convert("RGBA")
        ground = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(ground, opaque).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
