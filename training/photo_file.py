"""One photo of the data set: decoded completely, and written as the JPEG that every later step reads."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from training.duplicates import look_of
from vision.photos import SHORT_SIDE, PhotoError, orientation, read_photo

# Large photos are decoded at no less than this and then scaled by Lanczos. 12 megapixels, 2 cores: 40 ms instead of 68,
# pixels within 2 of 255 of those from the whole photo (0.2 on average).
_DECODED_SIDE: Final = 2 * SHORT_SIDE
# Below this there is nothing to see: icons, tracking pixels.
MIN_SIDE: Final = 16
# A strip has no square part that shows a thing; JPEG itself ends at 65,535 pixels a side.
MAX_ASPECT: Final = 20
MAX_BYTES: Final = 100 << 20
JPEG_QUALITY: Final = 95
_NAMES: Final = {"CMYK": "CMYK colours", "1": "black and white", "L": "greyscale"}


@dataclass(frozen=True)
class PhotoResult:
    """What became of one file.

    Attributes:
        left_out: why it cannot be used; None where it was written.
        converted: what had to be changed beyond its size; None where nothing.
        resized: whether it was made smaller.
        source_sha256: of the bytes as found; "" where they could not be read.
        sha256: of the bytes as written; "" where left out.
        size: width and height of the photo as found, upright; (0, 0) where left out.
        look: by which copies of the photo are found, see training/duplicates.py; empty where left out.
    """

    left_out: str | None = None
    converted: str | None = None
    resized: bool = False
    source_sha256: str = ""
    sha256: str = ""
    size: tuple[int, int] = (0, 0)
    look: bytes = b""


def prepare_photo(source: Path, target: Path) -> PhotoResult:
    """Write ``source`` to ``target`` as an upright RGB JPEG with a short side of at most SHORT_SIDE pixels.

    A file that is all that already is copied byte for byte. Nothing is written where the photo is left out.
    """
    try:
        data = _read(source)
    except OSError as error:
        return PhotoResult(left_out=f"cannot be read: {error.strerror or error}")
    except PhotoError as error:
        return PhotoResult(left_out=str(error))
    source_sha256 = hashlib.sha256(data).hexdigest()
    try:
        with warnings.catch_warnings():
            # Pillow's warnings are about metadata, and name no file; what matters about the pixels is an error.
            warnings.simplefilter("ignore", UserWarning)
            photo = read_photo(data, short_side=_DECODED_SIDE)
            changes = _changes(data, photo.converted_from)
    except PhotoError as error:
        return PhotoResult(left_out=str(error), source_sha256=source_sha256)
    image = photo.image
    if (reason := _useless(photo.size)) is not None:
        return PhotoResult(left_out=reason, source_sha256=source_sha256)
    resized = min(image.size) > SHORT_SIDE
    written = data if not changes and not resized else _jpeg(image)
    target.write_bytes(written)
    return PhotoResult(
        converted="; ".join(changes) or None,
        resized=resized,
        source_sha256=source_sha256,
        sha256=hashlib.sha256(written).hexdigest(),
        size=photo.size,
        look=look_of(image),
    )


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise PhotoError(f"{size:,} bytes; at most {MAX_BYTES:,} are read")
    return path.read_bytes()


def _changes(data: bytes, converted_from: str | None) -> list[str]:
    """Return what keeps a decodable photo from being used byte for byte, for people."""
    with Image.open(io.BytesIO(data)) as header:
        changes = []
        if header.format != "JPEG":
            changes.append(f"{header.format} written as JPEG")
        if converted_from is not None:
            changes.append(f"{_NAMES.get(converted_from, converted_from)} to RGB")
        elif header.mode != "RGB":
            changes.append(f"{_NAMES.get(header.mode, header.mode)} to RGB")
        if (turned := orientation(header)) != 1:
            changes.append(f"turned upright (EXIF orientation {turned})")
        return changes


def _useless(size: tuple[int, int]) -> str | None:
    short, long = sorted(size)
    if short < MIN_SIDE:
        return f"{size[0]} x {size[1]} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed to see anything"
    if long > MAX_ASPECT * short:
        return f"{size[0]} x {size[1]} pixels: a strip more than {MAX_ASPECT} times as long as wide"
    return None


def _jpeg(image: Image.Image) -> bytes:
    scale = SHORT_SIDE / min(image.size)
    if scale < 1:
        size = (max(SHORT_SIDE, round(image.width * scale)), max(SHORT_SIDE, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
