"""Photos drawn for the tests."""

import io
from collections.abc import Callable

import pytest
from PIL import Image

PhotoMaker = Callable[..., bytes]


def photo_bytes(size: tuple[int, int] = (60, 40), mode: str = "RGB", kind: str = "JPEG", **options: object) -> bytes:
    """Return an image file whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, (200, 20, 20))
    image.paste((20, 20, 200), (size[0] // 2, 0, size[0], size[1]))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def photo() -> PhotoMaker:
    return photo_bytes
