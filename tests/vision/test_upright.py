import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from vision import photos, upright
from vision.decoding import decode
from vision.photos import PhotoError, read_photo
from vision.pixels import Pixels
from vision.upright import upright_values

ROOT = Path(__file__).parents[2]
MODES = ("RGB", "L", "LA", "RGBA", "P", "PA", "1", "CMYK", "I;16", "I", "RGBa")


def drawn(mode: str, size: tuple[int, int] = (53, 37)) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(values, "RGBA")
    match mode:
        case "I;16":
            return Image.fromarray(values[..., 0].astype(np.uint16) * 257)
        case "I":
            return Image.fromarray(values[..., 0].astype(np.int32) * 300)
        case "PA":
            return image.convert("P").convert("PA")
        case _:
            return image.convert(mode)


def straightforward(image: Image.Image) -> Image.Image:
    """All at once, as Pillow's documentation would have it."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode.lower().endswith("a"):
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque).convert("RGB")
    return image.convert("RGB")


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upright, "_TILE_WIDTH", 16)
    monkeypatch.setattr(upright, "_TILE_PIXELS", 130)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("mode", MODES)
def test_tiles_have_the_pixels_of_the_whole(mode: str) -> None:
    image = drawn(mode)
    assert np.array_equal(upright_values(image, 1), np.asarray(straightforward(image)))


@pytest.mark.usefixtures("small_tiles")
def test_a_transparent_colour_is_white_in_every_tile() -> None:
    image = drawn("P")
    image.info["transparency"] = image.getpixel((20, 20))
    expected = np.asarray(straightforward(image))
    assert tuple(expected[20, 20]) == (255, 255, 255)
    assert np.array_equal(upright_values(image, 1), expected)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_a_turned_and_reduced_photo_is_as_pillow_reduces_and_turns_it(orientation: int, factor: int) -> None:
    image = drawn("RGB")
    reduced = image.reduce(factor)
    exif = reduced.getexif()
    exif[0x0112] = orientation
    assert np.array_equal(upright_values(image, orientation, factor), np.asarray(ImageOps.exif_transpose(reduced)))


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_only_enormous_photos_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_MOST_KEPT", 40 * 30)
    whole = encoded(Image.new("RGB", (40, 30)))
    assert read_photo(whole, short_side=10).image.size == (40, 30)
    larger = encoded(Image.new("RGB", (80, 61)))
    assert read_photo(larger, short_side=10).image.size == (27, 21)
    assert read_photo(larger, short_side=40).image.size == (80, 61)
    assert read_photo(larger).image.size == (80, 61)
    assert read_photo(larger, short_side=10).size == (80, 61)


def test_an_enormous_photo_looks_to_the_network_as_the_whole_one_does() -> None:
    image = drawn("RGB", (50, 40)).resize((5000, 4000), Image.Resampling.BICUBIC)
    whole, reduced = Pixels.of(image), decode(encoded(image, compress_level=1))
    assert reduced.size == (2500, 2000)
    expected = whole.scaled((0, 0, *whole.size), 224, "bicubic").int()
    difference = (reduced.scaled((0, 0, *reduced.size), 224, "bicubic").int() - expected).abs()
    assert difference.max() <= 3


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(width: int, height: int, bits: int, colour: int, channels: int) -> bytes:
    """A PNG of zeros that lies on its side."""
    squeezed = zlib.compressobj(1)
    row = bytes(1 + width * bits * channels // 8)
    pixels = b"".join(squeezed.compress(row) for _ in range(height)) + squeezed.flush()
    exif = Image.Exif()
    exif[0x0112] = 6
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"eXIf", exif.tobytes()[6:]), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


PEAK = """
import resource, sys
from pathlib import Path
import torch
from vision.decoding import decode
torch.set_num_threads(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(decode(Path(sys.argv[1]).read_bytes()).size)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bits", "colour", "channels", "most"), [(8, 6, 4, 420), (16, 0, 1, 300)], ids=["transparent", "16 bits"]
)
def test_the_largest_lying_photo_takes_little_more_than_its_decoder_does(
    tmp_path: Path, bits: int, colour: int, channels: int, most: int
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(zeros(8000, 8000, bits, colour, channels))
    found = subprocess.run(
        [sys.executable, "-c", PEAK, photo], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    size, kilobytes = found.stdout.splitlines()
    assert size == "(4000, 4000)"
    assert int(kilobytes) / 1000 < most


def test_a_line_of_millions_of_pixels_is_decoded() -> None:
    assert decode(encoded(Image.new("1", (3_000_000, 1)))).size == (3_000_000, 1)


def test_an_image_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(PhotoError):
        decode(zeros(0, 5, 8, 2, 3))
