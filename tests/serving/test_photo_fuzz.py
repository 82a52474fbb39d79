"""Damaged photos, thousands of kinds of them: each is decoded or refused, none ends the process or escapes as a bug."""

import io
from functools import cache

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.inference import InferenceError
from serving.inference import input_fn
from tests.real_photos import DOGS

MAX_SEED_BYTES = 60_000
# Pillow warns of damaged EXIF data, which says nothing about the pixels.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@cache
def seeds() -> list[bytes]:
    """Small photos of every format, real ones where the data set is there."""
    picture = Image.radial_gradient("L").resize((64, 48))
    made: list[bytes] = []
    kinds: list[tuple[str, str, dict[str, object]]] = [
        ("RGB", "JPEG", {}),
        ("CMYK", "JPEG", {"progressive": True}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {"save_all": True, "append_images": [picture.convert("P")]}),
        ("I;16", "PNG", {}),
        ("RGB", "WEBP", {}),
        ("RGBA", "WEBP", {"lossless": True, "save_all": True, "append_images": [picture.convert("RGBA")]}),
    ]
    for mode, kind, options in kinds:
        exif = Image.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        image = picture.convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode)
        image.save(buffer, kind, exif=exif.tobytes(), **options)
        made.append(buffer.getvalue())
    small = (path for path in sorted(DOGS.rglob("*.jpg")) if path.stat().st_size <= MAX_SEED_BYTES)
    return made + [path.read_bytes() for path, _ in zip(small, range(8), strict=False)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A photo with bytes changed, cut out, repeated or put in, and perhaps cut off."""
    photo = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 6))):
        # Half of the damage goes into the first bytes, where the headers are.
        reach = draw(st.sampled_from([min(200, len(photo)), len(photo)]))
        at = draw(st.integers(0, max(reach - 1, 0)))
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(["change", "cut", "repeat", "put in", "end"])):
            case "change":
                new = draw(st.binary(min_size=1, max_size=8))
                photo[at : at + len(new)] = new
            case "cut":
                del photo[at : at + length]
            case "repeat":
                photo[at:at] = photo[at : at + length]
            case "put in":
                photo[at:at] = draw(st.binary(max_size=40))
            case _:
                del photo[at:]
    return bytes(photo)


def assert_decoded_or_refused(photo: bytes) -> None:
    try:
        image = input_fn(photo, "image/jpeg")
    except InferenceError as error:
        refused = error
    else:
        assert (image.values.dtype, image.values.shape[0]) == (torch.uint8, 3)
        assert min(image.size) >= 1
        return
    assert refused.status in (400, 413)
    assert refused.message


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(damaged())
def test_a_damaged_photo_is_decoded_or_refused(photo: bytes) -> None:
    assert_decoded_or_refused(photo)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(damaged())
def test_a_damaged_photo_is_decoded_or_refused_at_length(photo: bytes) -> None:
    assert_decoded_or_refused(photo)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=300))
def test_bytes_out_of_nowhere_are_refused(photo: bytes) -> None:
    assert_decoded_or_refused(photo)
