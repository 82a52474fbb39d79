"""Small data sets made of real image files."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

PhotoMaker = Callable[..., bytes]
SetMaker = Callable[..., Path]


def photo_bytes(
    number: int = 0, size: tuple[int, int] = (48, 40), mode: str = "RGB", kind: str = "JPEG", **options: object
) -> bytes:
    """Return an image file; another number gives other bytes."""
    ramp = Image.linear_gradient("L").resize(size).rotate(number % 360)
    tinted = Image.merge(
        "RGB", (ramp, ramp.point(lambda v: (v * 3 + number * 7) % 256), ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    )
    buffer = io.BytesIO()
    tinted.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def photo() -> PhotoMaker:
    return photo_bytes


@pytest.fixture
def make_set(tmp_path: Path) -> SetMaker:
    """Return a function that writes a data set: per split (or None), per class folder, how many photos."""

    def make(splits: dict[str | None, dict[str, int]], root: str = "photos") -> Path:
        number = 0
        for split, classes in splits.items():
            for folder, count in classes.items():
                place = tmp_path / root / (split or "") / folder
                place.mkdir(parents=True, exist_ok=True)
                for index in range(count):
                    number += 1
                    (place / f"{index}.jpg").write_bytes(photo_bytes(number))
        return tmp_path / root

    return make
