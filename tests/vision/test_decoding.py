import io
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vision import decoding
from vision.decoding import decode, plain_jpeg_size
from vision.photos import SHORT_SIDE, PhotoError, TooManyPixelsError, read_photo
from vision.pixels import Pixels

PhotoMaker = Callable[..., bytes]


def pillows(data: bytes) -> torch.Tensor:
    return Pixels.of(read_photo(data).image).values


def ours(data: bytes) -> torch.Tensor:
    return decode(data).values


def decoded_without_pillow(data: bytes) -> bool:
    return decoding._decode_plain(data, Image.open(io.BytesIO(data))) is not None


def outcome(read: Callable[[bytes], torch.Tensor], data: bytes) -> list[int] | str:
    """Return the pixels, or why there are none."""
    try:
        values: list[int] = read(data).tolist()
    except PhotoError as refusal:
        return f"{type(refusal).__name__}: {refusal}"
    return values


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2}, {"quality": 20}]
)
def test_a_plain_jpeg_has_pillows_pixels_without_pillow(photo: PhotoMaker, options: dict[str, object]) -> None:
    data = photo(size=(101, 67), **options)
    assert decoded_without_pillow(data)
    assert torch.equal(decode(data).values, pillows(data))


def test_real_photos_have_pillows_pixels_without_pillow(dogs: Path) -> None:
    for path in sorted(dogs.glob("*/*/*.jpg"))[::30]:
        data = path.read_bytes()
        assert decoded_without_pillow(data)
        assert torch.equal(decode(data).values, pillows(data))


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_other_colours_are_left_to_pillow(photo: PhotoMaker, mode: str) -> None:
    data = photo(mode=mode)
    assert not decoded_without_pillow(data)
    assert torch.equal(decode(data).values, pillows(data))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGB")])
def test_other_formats_are_left_to_pillow(photo: PhotoMaker, kind: str, mode: str) -> None:
    data = photo(kind=kind, mode=mode)
    assert torch.equal(decode(data).values, pillows(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_photo_comes_out_upright(photo: PhotoMaker, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = photo(kind=kind, exif=exif)
    assert torch.equal(decode(data).values, pillows(data))


def test_without_torchvisions_decoder_pillow_decodes_everything(
    photo: PhotoMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_operator", lambda: None)
    assert torch.equal(decode(photo()).values, pillows(photo()))


@pytest.mark.parametrize(("size", "expected"), [((2000, 1100), (1000, 550)), ((1023, 2000), (1023, 2000))])
def test_a_large_photo_is_reduced_to_no_less_than_any_step_needs(
    photo: PhotoMaker, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    pixels = decode(photo(size=size))
    assert pixels.size == expected
    assert min(pixels.size) >= SHORT_SIDE


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of damaged EXIF data
def test_damaged_photos_are_decoded_or_refused_as_pillow_does(photo: PhotoMaker) -> None:
    rng = random.Random(0)
    originals = [photo(size=(64, 48)), photo(size=(64, 48), progressive=True)]
    for _ in range(600):
        data = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    del data[at : at + rng.randrange(20)]
                case _:
                    data[at:at] = data[at : at + rng.randrange(20)]
        assert outcome(ours, bytes(data)) == outcome(pillows, bytes(data))


@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"])
def test_photos_cut_off_anywhere_are_decoded_or_refused_as_pillow_does(photo: PhotoMaker, ending: bytes) -> None:
    data = photo(size=(64, 48))
    for end in range(2, len(data), 7):
        cut = data[:end] + ending
        assert outcome(ours, cut) == outcome(pillows, cut)


def test_too_many_pixels_are_refused_before_anything_is_decoded(
    photo: PhotoMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_decode_plain", lambda *_: pytest.fail("decoded"))
    with pytest.raises(TooManyPixelsError, match="60 x 40 = 2,400 pixels"):
        decode(photo(), max_pixels=2399)


def test_a_plain_jpegs_size_is_read(photo: PhotoMaker) -> None:
    assert plain_jpeg_size(photo(size=(101, 67))) == (101, 67)


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65000, 65000, 3) + bytes(9),  # a second frame, of 12 GB
        b"\xff\xde" + struct.pack(">HBHHB", 17, 8, 65000, 65000, 3) + bytes(9),  # a frame of frames
        b"\xff\xcc" + struct.pack(">H", 4) + bytes(2),  # arithmetic coding
        b"\xff\xff",  # fill bytes
        b"\xff\xe0\x00\x01",  # shorter than its own length
        b"\xff\xd0",  # a marker without a length
        b"\x00",
    ],
)
def test_a_header_that_may_be_read_in_two_ways_is_left_to_pillow(photo: PhotoMaker, segment: bytes) -> None:
    data = photo()
    for at in (2, data.index(b"\xff\xda")):
        assert plain_jpeg_size(data[:at] + segment + data[at:]) is None


@pytest.mark.parametrize("end", [0, 1, 2, 3, 20, 160, 170])
def test_a_header_that_ends_early_is_left_to_pillow(photo: PhotoMaker, end: int) -> None:
    assert plain_jpeg_size(photo()[:end] + b"\xff\xd9") is None


def test_a_reduced_photo_looks_like_the_whole_one_scaled(photo: PhotoMaker) -> None:
    values = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    whole, reduced = Pixels(pillows(data)), decode(data)
    assert reduced.size == (1000, 750)
    expected = whole.scaled((0, 0, *whole.size), 224, "bicubic").int()
    difference = (reduced.scaled((0, 0, *reduced.size), 224, "bicubic").int() - expected).abs()
    assert difference.max() <= 2
