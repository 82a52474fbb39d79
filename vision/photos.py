"""Bytes to upright RGB photos; what cannot be used is refused by its header, before it costs memory."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from contract.inference import MAX_PHOTO_PIXELS

FORMATS: Final = ("JPEG", "PNG", "WEBP")
_EXIF_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG_START: Final = b"\xff\xd8"
_JPEG_SCAN: Final = b"\xff\xda"
# Each scan of a progressive JPEG goes over all pixels, and 100 bytes make one: 4.4 MB of them would keep a thread busy
# for 40 minutes. Encoders write about 10.
_MAX_JPEG_SCANS: Final = 64
# What people send by mistake, told by its first bytes: (offset, bytes, name).
_OTHER_FORMATS: Final = (
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"),
)
# What Pillow's decoders raise on damaged files, found by feeding them damaged files.
_DAMAGED: Final = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, TypeError)


class PhotoError(Exception):
    """Bytes that are no usable photo; the message says why, fit for a client's eyes."""


class UnsupportedFormatError(PhotoError):
    """An image, but neither JPEG nor PNG nor WebP."""


class TooManyPixelsError(PhotoError):
    """A photo larger than the limit, refused by its header."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo; ``converted_from`` names what it was where it was not plain 8-bit RGB or grey."""

    image: Image.Image
    converted_from: str | None


def decode(data: bytes, max_pixels: int = MAX_PHOTO_PIXELS) -> Image.Image:
    """Return the photo in ``data`` as an upright (EXIF) RGB image.

    Raises:
        PhotoError: empty, no image, damaged or truncated; its subclasses: an unsupported format, too many pixels.
    """
    return read_photo(data, max_pixels).image


def read_photo(data: bytes, max_pixels: int = MAX_PHOTO_PIXELS) -> Photo:
    """Like ``decode``, and say what had to be converted."""
    if not data:
        raise PhotoError("the photo is empty (0 bytes)")
    image = _open(data, max_pixels)
    try:
        image.load()
    except _DAMAGED as error:
        raise PhotoError(f"the {image.format} photo is damaged or truncated: {error}") from error
    described = _unusual(image)
    return Photo(_upright(image, _to_rgb(image)), described)


def _open(data: bytes, max_pixels: int) -> Image.Image:
    scans = data.count(_JPEG_SCAN) if data.startswith(_JPEG_START) else 0
    if scans > _MAX_JPEG_SCANS:
        raise PhotoError(f"the JPEG photo has {scans:,} scans; at most {_MAX_JPEG_SCANS} are allowed")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixelsError(f"the photo has more than {max_pixels:,} pixels, which is the most allowed") from error
    except UnidentifiedImageError as error:
        raise _unidentified(data) from error
    except _DAMAGED as error:
        raise PhotoError(f"the photo's header is damaged: {error}") from error
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"the photo has {width:,} x {height:,} = {width * height:,} pixels; at most {max_pixels:,} are allowed"
        )
    return image


def _unidentified(data: bytes) -> PhotoError:
    for offset, magic, name in _OTHER_FORMATS:
        if data[offset : offset + len(magic)] == magic:
            return UnsupportedFormatError(f"{name} is not supported: send a JPEG, PNG or WebP photo")
    return PhotoError(f"{len(data):,} bytes that are no JPEG, PNG or WebP photo")


def _unusual(image: Image.Image) -> str | None:
    if image.mode in ("RGB", "L"):
        return "an image with transparency" if "transparency" in image.info else None
    names = {"CMYK": "CMYK", "P": "a colour palette", "1": "black and white", "I;16": "16-bit grey", "I": "32-bit grey"}
    return names.get(image.mode, "an image with transparency" if "A" in image.mode else image.mode)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel: convert() would clip everything above 255 to white
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        ground = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(ground, opaque).convert("RGB")
    return image.convert("RGB")


def _upright(source: Image.Image, image: Image.Image) -> Image.Image:
    try:
        orientation = source.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGED:  # unreadable EXIF says nothing about the pixels, which decoded well
        return image
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)
