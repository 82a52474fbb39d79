"""Bytes to upright RGB photos; what cannot be used is refused by its header, before it costs memory."""

import importlib.util
import io
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Final

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from contract.inference import MAX_PHOTO_PIXELS
from vision.upright import Values, upright_values

# Backbones see 224 pixels of 256; twice that leaves room for random crops, and is a tenth of a phone's photo. Prepared
# photos have at most this on the short side, and what is predicted is decoded at less than twice of it where it can be.
SHORT_SIDE: Final = 512
FORMATS: Final = ("JPEG", "PNG", "WEBP")
# Pillow's name for it once there is pillow-heif; told by its first box.
_HEIC: Final = "HEIF"
_BOXES: Final = b"ftyp"
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})
_EXIF_ORIENTATION: Final = 0x0112
_FIRST_SIDEWAYS: Final = 5  # orientations 5 to 8 swap width and height
# What is larger, and is no JPEG that is reduced while it is decoded, is averaged over blocks of 2 x 2 pixels or more
# before it is turned and scaled. It keeps sides of 4,000 pixels: far more than a network sees.
_MOST_KEPT: Final = 16_000_000
_JPEG_START: Final = b"\xff\xd8"
_JPEG_SCAN: Final = b"\xff\xda"
# Each scan of a progressive JPEG goes over all pixels, and 100 bytes make one: 4.4 MB of them would keep a thread busy
# for 40 minutes. Encoders write about 10.
_MAX_JPEG_SCANS: Final = 64
# Ordinary encoders' scans of the largest photo, and some: what all scans together may go over.
_MOST_SCANNED: Final = 16 * MAX_PHOTO_PIXELS
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
_DAMAGED: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    IndexError,
    TypeError,
    RuntimeError,
)


def heic_installed() -> bool:
    """Return whether HEIC photos can be decoded here: whether there is the package pillow-heif, which is not loaded."""
    return importlib.util.find_spec("pillow_heif") is not None


@cache
def _register_heic() -> None:
    """Teach Pillow HEIC, with nothing but the photo itself; photos are decoded by many threads already."""
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


class PhotoError(Exception):
    """Bytes that are no usable photo; the message says why, fit for a client's eyes."""


class UnsupportedFormatError(PhotoError):
    """An image, but of no format that can be decoded here."""


class TooManyPixelsError(PhotoError):
    """A photo larger than the limit, refused by its header."""


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        image: upright RGB, perhaps reduced.
        converted_from: what it was where it was not plain 8-bit RGB or grey.
        size: width and height of the whole photo, upright.
    """

    image: Image.Image
    converted_from: str | None
    size: tuple[int, int]


@dataclass(frozen=True)
class Decoded:
    """What ``Photo`` is, with the pixels as an array (height, width, 3) uint8."""

    values: Values
    converted_from: str | None
    size: tuple[int, int]


def read_photo(data: bytes, max_pixels: int = MAX_PHOTO_PIXELS, short_side: int | None = None) -> Photo:
    """Return the photo in ``data`` as an upright (EXIF) RGB image; a large JPEG reduced, not below ``short_side``.

    Raises:
        PhotoError: empty, no image, damaged or truncated; its subclasses: an unsupported format, too many pixels.
    """
    return load_photo(open_photo(data, max_pixels), short_side)


def load_photo(image: Image.Image, short_side: int | None = None) -> Photo:
    """Decode what ``open_photo`` returned.

    Raises:
        PhotoError: damaged or truncated.
    """
    decoded = load_values(image, short_side)
    return Photo(Image.fromarray(decoded.values), decoded.converted_from, decoded.size)


def load_values(image: Image.Image, short_side: int | None = None) -> Decoded:
    """Decode what ``open_photo`` returned, as ``load_photo`` does, to an array.

    Raises:
        PhotoError: damaged or truncated.
    """
    width, height = image.size
    if short_side is not None and reduction(image, short_side) > 1:
        image.draft(None, (short_side, short_side))
    try:
        image.load()
    except _DAMAGED as error:
        raise PhotoError(f"the {image.format} photo is damaged or truncated: {error}") from error
    if image.format == _HEIC and image.size != (width, height):  # its boxes said otherwise, and were believed
        raise PhotoError(f"the HEIC photo is {image.width} x {image.height} pixels, not {width} x {height} as it says")
    described, turn = _unusual(image), orientation(image)
    values = upright_values(image, turn, 1 if short_side is None else _blocks(image.size, short_side))
    return Decoded(values, described, (height, width) if turn >= _FIRST_SIDEWAYS else (width, height))


def _blocks(size: tuple[int, int], short_side: int) -> int:
    """Return how long the sides of the blocks are that become one pixel each; 1 for all but enormous photos."""
    pixels = size[0] * size[1]
    fits = max(1, min(size) // short_side)
    return next((factor for factor in range(1, 9) if pixels <= _MOST_KEPT * factor**2 or factor == fits), 1)


def reduction(image: Image.Image, short_side: int) -> int:
    """Return by how much libjpeg may reduce a photo while it decodes it: to 1/8, 1/4, 1/2 or not at all (1).

    The scaled inverse cosine transform needs a sixth of the time, and averages as an antialiased resize would.
    """
    if not isinstance(image, JpegImageFile):
        return 1
    fits = min(image.size) // short_side
    return next(factor for factor in (8, 4, 2, 1) if factor <= max(fits, 1))


def pixels_decoded(image: Image.Image, short_side: int = SHORT_SIDE) -> int:
    """Return how many pixels are in memory at once while a photo is decoded, by its header.

    A progressive JPEG is kept whole until its last scan, however much smaller it comes out.
    """
    width, height = image.size
    factor = 1 if "progressive" in image.info else reduction(image, short_side)
    return width * height // factor**2


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8."""
    try:
        found = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGED:  # unreadable EXIF says nothing about the pixels
        return 1
    return found if found in range(1, 9) else 1


def open_photo(data: bytes, max_pixels: int = MAX_PHOTO_PIXELS) -> Image.Image:
    """Return the photo with its header read and checked, nothing decoded.

    Raises:
        PhotoError: empty, no image, a damaged header; its subclasses: an unsupported format, too many pixels.
    """
    if not data:
        raise PhotoError("the photo is empty (0 bytes)")
    scans = data.count(_JPEG_SCAN) if data.startswith(_JPEG_START) else 0
    if scans > _MAX_JPEG_SCANS:
        raise PhotoError(f"the JPEG photo has {scans:,} scans; at most {_MAX_JPEG_SCANS} are allowed")
    heic = data[4:8] == _BOXES and data[8:12] in _HEIC_BRANDS and heic_installed()
    if heic:
        _register_heic()
    try:
        image = Image.open(io.BytesIO(data), formats=(_HEIC,) if heic else FORMATS)
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
    if scans * width * height > _MOST_SCANNED:
        raise PhotoError(f"the JPEG photo has {scans} scans of {width:,} x {height:,} pixels: too many for its size")
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
