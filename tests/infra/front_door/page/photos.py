"""The photos that people have: large ones, turned ones, ones that are none."""

import io
from typing import Final

from PIL import Image

from contract.classes import label_of
from training.toy import ToyPhoto, draw_photo
from training.toy_breeds import BREEDS

# 12 megapixels, as phones take them.
PHONE: Final = (4032, 3024)
_ORIENTATION: Final = 0x0112


def opened(photo: bytes) -> Image.Image:
    """Return a photo's pixels."""
    return Image.open(io.BytesIO(photo)).convert("RGB")


def turned(image: Image.Image) -> tuple[Image.Image, Image.Exif]:
    """Return an image as a phone that is held upright stores it, lying on its side, and the EXIF that says so."""
    exif = Image.Exif()
    exif[_ORIENTATION] = 6  # to be turned a quarter to the right
    return image.transpose(Image.Transpose.ROTATE_90), exif


def drawn(number: int) -> dict[str, bytes]:
    """Return a drawn photo of each breed of the toy set, by label; other numbers, other dogs."""
    return {label_of(breed.name): draw_photo(ToyPhoto(n, "test", number, 7)) for n, breed in enumerate(BREEDS)}
