import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from training.photo_file import PhotoResult, prepare_photo
from vision.photos import SHORT_SIDE

PhotoMaker = Callable[..., bytes]


def prepared(tmp_path: Path, content: bytes) -> tuple[PhotoResult, bytes]:
    source, target = tmp_path / "source.jpg", tmp_path / "target.jpg"
    source.write_bytes(content)
    result = prepare_photo(source, target)
    assert target.exists() == (result.left_out is None)
    return result, target.read_bytes() if target.exists() else b""


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_a_good_small_jpeg_is_copied_byte_for_byte(tmp_path: Path, photo: PhotoMaker) -> None:
    result, written = prepared(tmp_path, photo())
    assert written == photo()
    assert (result.converted, result.resized, result.sha256) == (None, False, result.source_sha256)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"this is a text file named .jpg", "no JPEG, PNG or WebP photo"),
        (b"GIF89a" + bytes(20), "GIF is not supported"),
        (bytes(5000), "no JPEG, PNG or WebP photo"),
    ],
)
def test_what_is_no_photo_is_left_out_with_a_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    result, _ = prepared(tmp_path, content)
    assert result.left_out is not None
    assert reason in result.left_out


def test_a_truncated_jpeg_is_left_out(tmp_path: Path, photo: PhotoMaker) -> None:
    whole = photo(size=(300, 300), quality=95)
    result, _ = prepared(tmp_path, whole[: len(whole) // 2])
    assert result.left_out is not None
    assert "truncated" in result.left_out


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    result = prepare_photo(tmp_path / "missing.jpg", tmp_path / "target.jpg")
    assert result.left_out == "cannot be read: No such file or directory"


@pytest.mark.parametrize("size", [(8, 300), (300, 15)])
def test_a_tiny_photo_is_left_out(tmp_path: Path, photo: PhotoMaker, size: tuple[int, int]) -> None:
    result, _ = prepared(tmp_path, photo(size=size))
    assert result.left_out is not None
    assert "at least 16 x 16" in result.left_out


def test_a_strip_is_left_out(tmp_path: Path, photo: PhotoMaker) -> None:
    result, _ = prepared(tmp_path, photo(size=(2000, 20), kind="PNG"))
    assert result.left_out is not None
    assert "a strip" in result.left_out


def test_a_cmyk_jpeg_is_converted(tmp_path: Path, photo: PhotoMaker) -> None:
    result, written = prepared(tmp_path, photo(mode="CMYK"))
    assert result.converted == "CMYK colours to RGB"
    assert opened(written).mode == "RGB"


def test_a_grey_jpeg_is_converted(tmp_path: Path, photo: PhotoMaker) -> None:
    result, written = prepared(tmp_path, photo(mode="L"))
    assert result.converted == "greyscale to RGB"
    assert opened(written).mode == "RGB"


@pytest.mark.parametrize(("mode", "word"), [("P", "palette"), ("RGBA", "transparency"), ("1", "black and white")])
def test_a_png_is_written_as_jpeg_and_says_what_it_was(tmp_path: Path, photo: PhotoMaker, mode: str, word: str) -> None:
    result, written = prepared(tmp_path, photo(mode=mode, kind="PNG"))
    assert result.converted is not None
    assert result.converted.startswith("PNG written as JPEG; ")
    assert word in result.converted
    assert (opened(written).format, opened(written).mode) == ("JPEG", "RGB")


def test_a_16_bit_png_keeps_its_shades(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.frombytes("I;16", (32, 32), (32768).to_bytes(2, "little") * 1024).save(buffer, "PNG")
    result, written = prepared(tmp_path, buffer.getvalue())
    assert result.converted is not None
    assert "16-bit" in result.converted
    assert opened(written).getpixel((5, 5)) == (128, 128, 128)


def test_a_webp_is_written_as_jpeg(tmp_path: Path, photo: PhotoMaker) -> None:
    result, written = prepared(tmp_path, photo(kind="WEBP"))
    assert result.converted == "WEBP written as JPEG"
    assert opened(written).format == "JPEG"


def test_a_photo_held_sideways_is_turned_upright(tmp_path: Path, photo: PhotoMaker) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    result, written = prepared(tmp_path, photo(size=(60, 40), exif=exif))
    assert result.converted == "turned upright (EXIF orientation 6)"
    assert opened(written).size == (40, 60)
    assert opened(written).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("size", [(1600, 1200), (600, 2400)])
def test_a_large_photo_is_made_smaller_without_a_remark(
    tmp_path: Path, photo: PhotoMaker, size: tuple[int, int]
) -> None:
    result, written = prepared(tmp_path, photo(size=size))
    assert (result.resized, result.converted) == (True, None)
    assert min(opened(written).size) == SHORT_SIDE
    assert opened(written).width / opened(written).height == pytest.approx(size[0] / size[1], rel=0.01)


def test_a_photo_of_exactly_the_largest_size_is_copied(tmp_path: Path, photo: PhotoMaker) -> None:
    content = photo(size=(SHORT_SIDE, SHORT_SIDE + 100))
    assert prepared(tmp_path, content)[1] == content


def test_damaged_exif_does_not_cost_a_photo(tmp_path: Path, photo: PhotoMaker) -> None:
    result, _ = prepared(tmp_path, photo(exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff broken"))
    assert result.left_out is None
