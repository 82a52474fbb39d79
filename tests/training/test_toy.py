import hashlib
import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from contract.classes import Classes
from training.photo_file import prepare_photo
from training.toy import ToyPhoto, draw_photo, toy_photos
from training.toy_breeds import BREEDS


def test_there_are_eight_breeds_of_sixty_photos_in_three_splits() -> None:
    photos = toy_photos(seed=0)
    assert Counter((p.breed, p.split) for p in photos) == {
        (breed, split): count for breed in range(8) for split, count in (("train", 40), ("valid", 10), ("test", 10))
    }
    assert len({photo.place for photo in photos}) == 480


def test_the_breeds_make_valid_classes() -> None:
    folders = tuple(sorted({photo.place.split("/")[1] for photo in toy_photos(0)}))
    assert Classes(folders).labels[0] == "Biscuit Sausage"


def test_a_photo_depends_on_its_seed_alone() -> None:
    photo = ToyPhoto(3, "train", 5, seed=1)
    assert draw_photo(photo) == draw_photo(photo)
    assert draw_photo(photo) != draw_photo(ToyPhoto(3, "train", 5, seed=2))
    assert draw_photo(photo) != draw_photo(ToyPhoto(3, "train", 6, seed=1))


@pytest.mark.parametrize("breed", range(len(BREEDS)))
def test_every_breed_is_drawn_as_a_photo_that_needs_no_conversion(breed: int, tmp_path: Path) -> None:
    (tmp_path / "dog").write_bytes(draw_photo(ToyPhoto(breed, "test", 51, seed=0)))
    result = prepare_photo(tmp_path / "dog", tmp_path / "out.jpg")
    assert (result.left_out, result.converted, result.resized) == (None, None, False)


def test_photos_differ_in_shape_and_file_size() -> None:
    drawn = [draw_photo(ToyPhoto(n % 8, "train", n, seed=0)) for n in range(16)]
    assert len({Image.open(io.BytesIO(photo)).size for photo in drawn}) > 2
    assert max(map(len, drawn)) > 2 * min(map(len, drawn))


@pytest.mark.slow
def test_no_photo_of_the_set_is_there_twice() -> None:
    assert len({hashlib.sha256(draw_photo(photo)).digest() for photo in toy_photos(0)}) == 480
