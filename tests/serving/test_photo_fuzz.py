"""Damaged photos, thousands of kinds of them: each is decoded or refused, none ends the process or escapes as a bug."""

import io
import struct
import time
import zlib
from functools import cache

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.inference import InferenceError
from serving.scaling import scaled
from tests.real_photos import DOGS
from vision.preprocessing import Preprocessing

MAX_SEED_BYTES = 60_000
SEEN = Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bilinear")
# Far more than any of these small photos takes on a busy machine: what reaches it would never end.
DEADLINE_SECONDS = 60
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


def parts(photo: bytes) -> list[bytes]:
    """Take a file apart into its segments or chunks, lengths and checksums included; joined they are the file."""
    found, at = [], {b"\xff\xd8": 2, b"\x89P": 8, b"RI": 12}[photo[:2]]
    found.append(photo[:at])
    while at + 8 <= len(photo):
        if photo.startswith(b"\xff\xd8"):
            length = 2 + struct.unpack_from(">H", photo, at + 2)[0]
            end = at + length if photo[at + 1] != 0xDA else len(photo) - 2
        elif photo.startswith(b"\x89P"):
            end = at + 12 + int(struct.unpack_from(">I", photo, at)[0])
        else:
            length = int(struct.unpack_from("<I", photo, at + 4)[0])
            end = at + 8 + length + length % 2
        found.append(photo[at:end])
        at = end
    return [*found, photo[at:]]


def resealed(part: bytes) -> bytes:
    """Give a PNG chunk the checksum of what is in it now, and leave anything else."""
    if len(part) < 12 or struct.unpack_from(">I", part)[0] != len(part) - 12:
        return part
    return part[:-4] + struct.pack(">I", zlib.crc32(part[4:-4]))


@st.composite
def restructured(draw: st.DrawFn) -> bytes:
    """A photo whose segments are swapped, repeated, left out, taken from others or changed, with fitting checksums."""
    mine = parts(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(1, len(mine) - 1))
        match draw(st.sampled_from(["swap", "repeat", "leave out", "splice", "length", "change", "exif"])):
            case "swap":
                other = draw(st.integers(1, len(mine) - 1))
                mine[at], mine[other] = mine[other], mine[at]
            case "repeat":
                mine[at:at] = [mine[at]] * draw(st.sampled_from([1, 2, 70]))
            case "leave out" if len(mine) > 2:
                del mine[at]
            case "splice":
                mine[at:at] = [draw(st.sampled_from(parts(draw(st.sampled_from(seeds())))))]
            case "length":  # of a segment or chunk: bytes 2 to 3 of a JPEG's, 0 to 3 of a PNG's, 4 to 7 of a WebP's
                where = draw(st.sampled_from([0, 2, 4]))
                mine[at] = mine[at][:where] + draw(st.binary(min_size=2, max_size=4)) + mine[at][where + 4 :]
            case "exif":
                data = (
                    b"Exif\0\0"
                    + draw(st.sampled_from([b"MM\0*\0\0\0\x08", b"II*\0", b""]))
                    + draw(st.binary(max_size=60))
                )
                mine[1:1] = [b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data]
            case _:
                where = draw(st.integers(0, max(0, len(mine[at]) - 1)))
                new = draw(st.binary(min_size=1, max_size=4))
                mine[at] = resealed(mine[at][:where] + new + mine[at][where + len(new) :])
    return b"".join(mine)


def assert_decoded_or_refused(photo: bytes) -> None:
    refused: InferenceError | None
    started = time.thread_time()  # of the processor, so that other processes do not count
    try:
        seen = scaled(photo, SEEN)  # (3, 224, 224)
    except InferenceError as error:
        refused = error
    else:
        refused = None
        assert (seen.dtype, tuple(seen.shape)) == (torch.uint8, (3, 224, 224))
    assert refused is None or (refused.status in (400, 413) and refused.message)
    assert time.thread_time() - started < DEADLINE_SECONDS


def test_parts_joined_are_the_photo() -> None:
    for photo in seeds():
        assert len(parts(photo)) > 3
        assert b"".join(parts(photo)) == photo


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(restructured())
def test_a_photo_of_other_parts_is_decoded_or_refused(photo: bytes) -> None:
    assert_decoded_or_refused(photo)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(restructured())
def test_a_photo_of_other_parts_is_decoded_or_refused_at_length(photo: bytes) -> None:
    assert_decoded_or_refused(photo)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(damaged())
def test_a_damaged_photo_is_decoded_or_refused(photo: bytes) -> None:
    assert_decoded_or_refused(photo)


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(damaged())
def test_a_damaged_photo_is_decoded_or_refused_at_length(photo: bytes) -> None:
    assert_decoded_or_refused(photo)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(st.binary(max_size=300))
def test_bytes_out_of_nowhere_are_refused(photo: bytes) -> None:
    assert_decoded_or_refused(photo)
