"""HEIC, where its decoder is installed."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from vision.decoding import decode
from vision.photos import PhotoError, TooManyPixelsError, open_photo, read_photo

pillow_heif = pytest.importorskip("pillow_heif")


def heic(size: tuple[int, int] = (96, 64), mode: str = "RGB", **options: object) -> bytes:
    """A photo whose left half is red and whose right half is blue."""
    pillow_heif.register_heif_opener()
    image = Image.new("RGB", size, (200, 20, 20))
    image.paste((20, 20, 200), (size[0] // 2, 0, size[0], size[1]))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "HEIF", **options)
    return buffer.getvalue()


def test_a_photo_is_decoded() -> None:
    pixels = decode(heic(quality=95))
    assert pixels.size == (96, 64)
    assert pixels.values[0, 32, 10] > 150
    assert pixels.values[2, 32, 80] > 150


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_once_whether_its_box_or_its_exif_says_so(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = np.asarray(read_photo(heic(exif=exif.tobytes(), quality=95)).image).astype(int)
    jpeg = io.BytesIO()
    Image.open(io.BytesIO(heic())).convert("RGB").save(jpeg, "JPEG", exif=exif, quality=95)
    expected = np.asarray(read_photo(jpeg.getvalue()).image).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 8


def test_transparency_is_put_on_white() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    buffer = io.BytesIO()
    heic()
    image.save(buffer, "HEIF")
    assert min(read_photo(buffer.getvalue()).image.getpixel((30, 30))) > 250  # type: ignore[arg-type]


def test_too_many_pixels_are_refused_by_the_header() -> None:
    with pytest.raises(TooManyPixelsError, match="96 x 64"):
        open_photo(heic(), max_pixels=6_000)


def test_a_size_that_is_a_lie_is_refused() -> None:
    data = heic()
    size = (96).to_bytes(4, "big") + (64).to_bytes(4, "big")
    assert size in data
    with pytest.raises(PhotoError):
        decode(data.replace(size, (48).to_bytes(4, "big") + (64).to_bytes(4, "big")))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_photo_is_refused(share: float) -> None:
    data = heic()
    with pytest.raises(PhotoError):
        decode(data[: int(len(data) * share)])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_photos_are_decoded_or_refused() -> None:
    rng, original = random.Random(0), heic()
    for _ in range(150):
        data = bytearray(original)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(12, len(data))] = rng.randrange(256)
        try:
            assert decode(bytes(data)).values.shape[0] == 3
        except PhotoError:
            continue
