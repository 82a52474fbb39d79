import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import photo_bytes
from training.report.thumbnails import SIDE, Thumbnails


def test_a_photo_becomes_a_small_picture_inside_the_page(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(photo_bytes(1, size=(640, 480)))
    uri = Thumbnails(tmp_path).of("1.jpg")
    assert uri is not None
    assert uri.startswith("data:image/webp;base64,")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as made:
        assert made.size == (SIDE, SIDE * 3 // 4)


@pytest.mark.parametrize("name", ["missing.jpg", "damaged.jpg", "../outside.jpg", "a\0b.jpg", ".", "/etc/hostname"])
def test_what_cannot_be_shown_is_left_out_and_said(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "outside.jpg").write_bytes(photo_bytes(1))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "damaged.jpg").write_bytes(photo_bytes(1)[:300])
    assert Thumbnails(tmp_path / "set").of(name) is None
    assert "the report does without the photo" in capsys.readouterr().out


def test_a_link_out_of_the_data_set_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(photo_bytes(1))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    assert Thumbnails(tmp_path / "set").of("link.jpg") is None


def test_without_photos_at_hand_there_are_none() -> None:
    assert Thumbnails(None).of("1.jpg") is None


def test_photos_of_noise_stop_where_the_page_is_full(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (220, 220, 3), np.uint8)).save(tmp_path / f"{number}.png")
    thumbnails = Thumbnails(tmp_path, budget=90_000)
    made = [thumbnails.of(f"{number}.png") for number in range(4)]
    assert made[0] is not None
    assert made[-1] is None
    assert sum(len(uri) for uri in made if uri) <= 90_000
