import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision import photos
from vision.photos import PhotoError, TooManyPixelsError, UnsupportedFormatError, read_photo

PhotoMaker = Callable[..., bytes]


def decode(data: bytes) -> Image.Image:
    return read_photo(data).image


def png_claiming(width: int, height: int) -> bytes:
    """Return a small PNG whose header claims a size; no pixel of it is ever needed to refuse it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_decode_to_rgb(photo: PhotoMaker, kind: str) -> None:
    image = decode(photo(kind=kind))
    assert (image.mode, image.size) == ("RGB", (60, 40))


def test_a_photo_is_turned_upright_by_its_exif_orientation(photo: PhotoMaker) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the picture must be turned clockwise
    image = decode(photo(exif=exif))
    assert image.size == (40, 60)
    assert image.getpixel((20, 5))[0] > 150  # type: ignore[index]  # the red left half is now on top


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone_as_pillow_would(photo: PhotoMaker, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = photo(exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(np.asarray(decode(data)), np.asarray(expected))


def test_unreadable_exif_does_not_cost_the_photo(photo: PhotoMaker) -> None:
    assert decode(photo(exif=b"Exif\x00\x00nonsense")).size == (60, 40)


def test_cmyk_is_converted_and_said_so(photo: PhotoMaker) -> None:
    read = read_photo(photo(mode="CMYK"))
    assert (read.image.mode, read.converted_from) == ("RGB", "CMYK")
    assert read.image.getpixel((5, 5))[0] > 150  # type: ignore[index]


def test_a_plain_photo_is_not_reported_as_converted(photo: PhotoMaker) -> None:
    assert read_photo(photo()).converted_from is None


def test_transparency_is_put_on_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(buffer, "PNG")
    assert decode(buffer.getvalue()).getpixel((0, 0)) == (255, 255, 255)


def test_a_palette_with_a_transparent_colour_is_put_on_white() -> None:
    buffer = io.BytesIO()
    Image.new("P", (4, 4), 0).save(buffer, "PNG", transparency=0)
    assert decode(buffer.getvalue()).getpixel((0, 0)) == (255, 255, 255)


def test_16_bit_grey_keeps_its_brightness() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16)).save(buffer, "PNG")
    read = read_photo(buffer.getvalue())
    assert read.image.getpixel((0, 0)) == (128, 128, 128)
    assert read.converted_from == "16-bit grey"


def test_an_empty_photo_is_refused() -> None:
    with pytest.raises(PhotoError, match="empty"):
        decode(b"")


def test_text_is_refused() -> None:
    with pytest.raises(PhotoError, match="no JPEG, PNG or WebP"):
        decode(b"this is not a photo")


@pytest.mark.parametrize(
    ("data", "name"), [(b"GIF89a" + b"\0" * 50, "GIF"), (b"\0\0\0\x18ftypheic" + b"\0" * 50, "HEIC")]
)
def test_another_image_format_is_named(data: bytes, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "heic_installed", lambda: False)
    with pytest.raises(UnsupportedFormatError, match=name):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_photo_is_refused(photo: PhotoMaker, kind: str, share: float) -> None:
    data = photo(size=(300, 200), kind=kind)
    with pytest.raises(PhotoError):
        decode(data[: int(len(data) * share)])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8_100, 8_000)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(TooManyPixelsError, match="64,000,000"):
        decode(png_claiming(*size))


def test_damaged_photos_raise_nothing_but_photo_errors(photo: PhotoMaker) -> None:
    rng = random.Random(0)
    for kind in ("JPEG", "PNG", "WEBP"):
        original = photo(size=(64, 48), kind=kind)
        for _ in range(150):
            data = bytearray(original)
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            try:
                assert decode(bytes(data)).mode == "RGB"
            except PhotoError:
                continue


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_reduced_while_it_is_decoded_and_keeps_its_size_on_record(
    photo: PhotoMaker, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_photo(photo(size=(1600, 1000), exif=exif), short_side=200)
    assert read.image.size == ((400, 250) if orientation == 1 else (250, 400))
    assert read.size == ((1600, 1000) if orientation == 1 else (1000, 1600))


@pytest.mark.parametrize(("short_side", "expected"), [(1000, 1000), (501, 1000), (500, 500), (251, 500), (1, 125)])
def test_no_photo_is_reduced_below_what_is_needed(photo: PhotoMaker, short_side: int, expected: int) -> None:
    assert min(read_photo(photo(size=(1600, 1000)), short_side=short_side).image.size) == expected


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_other_formats_are_not_reduced(photo: PhotoMaker, kind: str) -> None:
    assert read_photo(photo(size=(800, 600), kind=kind), short_side=100).image.size == (800, 600)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_large_truncated_jpeg_is_refused_though_it_is_reduced(photo: PhotoMaker, share: float) -> None:
    data = photo(size=(1600, 1000))
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(data[: int(len(data) * share)], short_side=200)


def test_real_photos_decode(dogs: Path) -> None:
    for path in sorted(dogs.glob("valid/*/*.jpg"))[::10]:
        assert decode(path.read_bytes()).mode == "RGB"
