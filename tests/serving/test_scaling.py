"""Photos as the internet sends them: what the network sees of each, or why it sees nothing."""

import io
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from contract.inference import MAX_PHOTO_PIXELS, MAX_UPLOAD_BYTES, ErrorCode, InferenceError
from serving.scaling import PixelBudget, scaled
from vision.preprocessing import Preprocessing

SEEN = Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bilinear")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seen(photo: bytes) -> torch.Tensor:
    return scaled(photo, SEEN)


def refusal(photo: bytes) -> InferenceError:
    with pytest.raises(InferenceError) as refused:
        seen(photo)
    return refused.value


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(photo: bytes, *chunks: bytes) -> bytes:
    """Put chunks behind a PNG's header."""
    return photo[:33] + b"".join(chunks) + photo[33:]


@pytest.fixture(scope="module")
def plain(picture: Image.Image) -> torch.Tensor:
    return seen(encoded(picture, "PNG"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tail", [b"PK\x03\x04" + bytes(500), b"<html><script>", b"\xff\xd8\xff\xe0", bytes(3)])
def test_what_follows_a_photo_changes_nothing(picture: Image.Image, kind: str, tail: bytes) -> None:
    photo = encoded(picture, kind)
    assert torch.equal(seen(photo + tail), seen(photo))


def test_a_zip_file_in_front_of_a_photo_is_no_photo(picture: Image.Image) -> None:
    assert refusal(b"PK\x03\x04" + encoded(picture, "JPEG")).code is ErrorCode.BAD_IMAGE


def test_cmyk_of_adobe_is_inverted_and_ycck_is_cmyk(picture: Image.Image) -> None:
    cmyk = encoded(picture.convert("CMYK"), "JPEG", quality=95, subsampling=0)
    straight = seen(encoded(picture, "PNG")).int()
    assert (seen(cmyk).int() - straight).abs().float().mean() < 4
    at = cmyk.index(b"Adobe") + 11
    assert cmyk[at] == 0  # of Adobe's transforms: none
    ycck = seen(cmyk[:at] + b"\x02" + cmyk[at + 1 :])
    stored = Image.open(io.BytesIO(cmyk))
    stored.load()
    c, m, y, k = (np.asarray(band) for band in stored.split())
    merged = Image.merge("YCbCr", [Image.fromarray(band) for band in (255 - c, 255 - m, 255 - y)]).convert("RGB")
    inks = [Image.fromarray(np.asarray(band)) for band in merged.split()]
    expected = Image.merge("CMYK", [*inks, Image.fromarray(k)]).convert("RGB")
    assert (ycck.int() - seen(encoded(expected, "PNG")).int()).abs().float().mean() < 12


def test_animations_are_their_first_picture(picture: Image.Image, plain: torch.Tensor) -> None:
    second = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for kind in ("PNG", "WEBP"):
        moving = encoded(picture, kind, save_all=True, append_images=[second], lossless=True)
        assert torch.equal(seen(moving), plain)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_every_mode_shows_what_it_shows_elsewhere(picture: Image.Image, mode: str) -> None:
    image = picture.convert(mode)
    assert torch.equal(seen(encoded(image, "PNG")), seen(encoded(image.convert("RGB"), "PNG")))


def test_a_header_that_promises_gigapixels_is_refused_before_anything_is_decoded() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 6, 0, 0, 0))
    photo = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"no zlib") + chunk(b"IEND", b"")
    assert refusal(photo).code is ErrorCode.TOO_LARGE


def test_more_pixels_than_the_header_says_are_not_shown(picture: Image.Image) -> None:
    large = zlib.compress(bytes(50_000_000))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    photo = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", large) + chunk(b"IEND", b"")
    assert torch.all(seen(photo) == 0)


@pytest.mark.parametrize(("kind", "start"), [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\x01\0\0\0"), (b"iCCP", b"a\0\0")])
def test_a_chunk_that_unpacks_to_gigabytes_is_refused_or_ignored(
    picture: Image.Image, plain: torch.Tensor, kind: bytes, start: bytes
) -> None:
    photo = with_chunks(encoded(picture, "PNG"), chunk(kind, start + zlib.compress(bytes(100_000_000), 9)))
    try:
        found = seen(photo)
    except InferenceError as error:
        found = error  # type: ignore[assignment]
    assert torch.equal(found, plain) if isinstance(found, torch.Tensor) else found.status == 400


def test_large_profiles_and_notes_change_nothing(picture: Image.Image, plain: torch.Tensor) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "x" * 200_000)
    assert torch.equal(seen(encoded(picture, "PNG", pnginfo=notes, icc_profile=bytes(1_000_000))), plain)
    jpeg = encoded(picture, "JPEG", icc_profile=bytes(2_000_000), comment=b"x" * 60_000)
    assert torch.equal(seen(jpeg), seen(encoded(picture, "JPEG")))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(40)]
)
def test_damaged_exif_turns_nothing(picture: Image.Image, exif: bytes) -> None:
    assert torch.equal(seen(encoded(picture, "JPEG", exif=exif)), seen(encoded(picture, "JPEG")))


def test_many_scans_are_refused(picture: Image.Image) -> None:
    photo = encoded(picture.convert("L"), "JPEG", progressive=True)
    last = photo[photo.rindex(b"\xff\xda") : -2]
    assert "scans; at most 64" in refusal(photo[:-2] + last * 2000 + photo[-2:]).message
    large = encoded(Image.new("L", (6000, 6000)), "JPEG", progressive=True)
    last = large[large.rindex(b"\xff\xda") : -2]
    assert "too many for its size" in refusal(large[:-2] + last * 40 + large[-2:]).message


@pytest.mark.parametrize("size", [0, 5, 2**32 - 1])
def test_a_webp_chunk_of_an_odd_length_is_decoded_or_refused(picture: Image.Image, size: int) -> None:
    photo = encoded(picture, "WEBP")
    assert refusal(photo[:16] + struct.pack("<I", size) + photo[20:]).code is ErrorCode.BAD_IMAGE


def test_too_many_bytes_are_refused() -> None:
    assert refusal(bytes(MAX_UPLOAD_BYTES + 1)).code is ErrorCode.TOO_LARGE
    assert refusal(b"").code is ErrorCode.EMPTY_BODY


def test_no_more_pixels_are_taken_than_there_are_and_first_come_is_first_served() -> None:
    budget, served, gate = PixelBudget(10), [], threading.Event()
    entered = threading.Event()

    def hold() -> None:
        with budget.taking(7):
            entered.set()
            gate.wait(30)

    def take(name: str, pixels: int) -> None:
        with budget.taking(pixels):
            served.append(name)

    with ThreadPoolExecutor(3) as pool:
        holding = pool.submit(hold)
        assert entered.wait(30)
        larger_than_all = pool.submit(take, "large", 1000)
        while len(budget._waiting) < 1:
            pass
        small = pool.submit(take, "small", 1)
        while len(budget._waiting) < 2:
            pass
        assert served == []  # the small one would fit, and does not overtake
        gate.set()
        for task in (holding, larger_than_all, small):
            task.result(30)
    assert served == ["large", "small"]
    assert budget._taken == 0


def test_a_photo_that_is_refused_gives_its_pixels_back(picture: Image.Image) -> None:
    budget = PixelBudget(MAX_PHOTO_PIXELS)
    photo = encoded(picture, "PNG")
    with pytest.raises(InferenceError):
        scaled(photo[: len(photo) // 2], SEEN, budget)
    assert budget._taken == 0
