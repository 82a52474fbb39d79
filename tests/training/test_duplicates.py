import io
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from training import duplicates
from training.duplicates import MOST_DIFFERING, NearDuplicates, find_near_duplicates, look_of

DOGS: Final = Path(__file__).parents[3] / "shared" / "data" / "dogs"


def scene(number: int, size: tuple[int, int] = (150, 110)) -> Image.Image:
    """Return a picture of soft shapes and some detail, another one for every number."""
    rng = np.random.default_rng(number)
    shapes = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    detail = Image.fromarray(rng.integers(0, 256, (40, 55, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    return Image.blend(shapes, detail, 0.25)


def encoded(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round(width * (1 - right)), round(height * (1 - bottom)))
    )


COPIES: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "JPEG quality 40": lambda image: encoded(image, 40),
    "half the size": half,
    "half the size at quality 40": lambda image: encoded(half(image), 40),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.75),
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "4 % off every side": lambda image: cropped(image, 0.04, 0.04, 0.04, 0.04),
    "6 % off the bottom": lambda image: cropped(image, 0, 0, 0, 0.06),
    "5 % off two sides": lambda image: cropped(image, 0, 0.05, 0.05, 0),
}


def search(images: dict[str, Image.Image], folder: Path) -> NearDuplicates:
    for place, image in images.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / place, "BMP")
    found = find_near_duplicates({place: look_of(image) for place, image in images.items()}, folder)
    assert found is not None
    return found


@pytest.mark.parametrize("how", COPIES)
def test_a_changed_copy_in_the_test_set_is_found(how: str, tmp_path: Path) -> None:
    images = {f"train/1.Pug/{n}.jpg": scene(n) for n in range(9)}
    images["test/1.Pug/copy.jpg"] = COPIES[how](scene(7))
    found = search(images, tmp_path)
    assert [pair.photos for pair in found.pairs] == [("test/1.Pug/copy.jpg", "train/1.Pug/7.jpg")]
    assert not found.pairs[0].identical
    assert found.leaked == {("test", "train"): ("test/1.Pug/copy.jpg",)}


def test_different_pictures_are_no_copies(tmp_path: Path) -> None:
    found = search({f"train/1.Pug/{n}.jpg": scene(n) for n in range(100)}, tmp_path)
    assert (found.count, found.pairs) == (0, ())


@pytest.mark.skipif(not DOGS.is_dir(), reason="the real photos are not here")
def test_of_real_photos_copies_are_found_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_looked_at", lambda pair, folder: pair)
    files = sorted(DOGS.glob("*/*/*.jpg"))[::9]
    looks = {}
    for number, file in enumerate(files):
        image = Image.open(file).convert("RGB")
        looks[f"train/1.Dog/{number}.jpg"] = look_of(image)
        looks[f"test/1.Dog/{number}.jpg"] = look_of(encoded(half(image), 40))
    found = find_near_duplicates(looks, DOGS)
    assert found is not None
    assert {pair.photos for pair in found.pairs} == {
        (f"test/1.Dog/{number}.jpg", f"train/1.Dog/{number}.jpg") for number in range(len(files))
    }


def test_the_same_pixels_in_another_file_are_called_identical(tmp_path: Path) -> None:
    found = search({"valid/1.Pug/a.jpg": scene(1), "train/2.Boxer/b.jpg": scene(1)}, tmp_path)
    assert found.as_dict() == {
        "near_duplicates": [
            {
                "photos": ["train/2.Boxer/b.jpg", "valid/1.Pug/a.jpg"],
                "splits": ["train", "valid"],
                "labels": ["Boxer", "Pug"],
                "identical": True,
                "distance": 0,
            }
        ],
        "near_duplicate_counts": {"pairs": 1, "across_splits": 1, "two_classes": 1},
    }
    assert found.leaked == {("valid", "train"): ("valid/1.Pug/a.jpg",)}


def test_photos_of_one_colour_look_like_nothing(tmp_path: Path) -> None:
    grounds = {f"train/1.Pug/{n}.jpg": Image.new("RGB", (90, 70), (n, n, n)) for n in (0, 127, 255)}
    assert set(map(look_of, grounds.values())) == {b""}
    assert search(grounds, tmp_path).count == 0


def test_every_pair_is_counted_and_some_are_listed_across_splits_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "MOST_PAIRS", 10)
    images = {f"train/1.Pug/{n}.jpg": scene(1) for n in range(9)} | {f"test/1.Pug/{n}.jpg": scene(1) for n in range(2)}
    found = search(images, tmp_path)
    assert (found.count, found.across, len(found.pairs)) == (11 * 10 // 2, 9 * 2, 10)
    assert all(pair.photos[0].startswith("test") for pair in found.pairs)
    assert found.leaked[("test", "train")] == ("test/1.Pug/0.jpg", "test/1.Pug/1.jpg")


def test_blocks_find_what_comparing_every_pair_finds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(duplicates, "_AT_ONCE", 64)
    monkeypatch.setattr(duplicates, "_CROPS_AT_ONCE", 3)
    images = [how(scene(n)) for n in range(4) for how in COPIES.values()]
    looks = {f"train/1.Pug/{n:03d}.jpg": look_of(image) for n, image in enumerate(images)}
    bits = {place: np.unpackbits(np.frombuffer(look, np.uint8)).reshape(-1, 256) for place, look in looks.items()}
    expected = {
        (one, other)
        for one, other in combinations(sorted(looks), 2)
        if min(
            *(np.sum(version != bits[other][0]) for version in bits[one]),
            *(np.sum(version != bits[one][0]) for version in bits[other]),
        )
        <= MOST_DIFFERING
    }
    monkeypatch.setattr(duplicates, "_looked_at", lambda pair, folder: pair)
    found = find_near_duplicates(looks, tmp_path)
    assert found is not None
    assert {pair.photos for pair in found.pairs} == expected
    assert len(expected) > 4 * len(COPIES)


@pytest.mark.parametrize("places", [(), ("train/1.Pug/0.jpg",)])
def test_fewer_than_two_photos_have_no_copies(places: tuple[str, ...], tmp_path: Path) -> None:
    assert find_near_duplicates({place: look_of(scene(1)) for place in places}, tmp_path) == NearDuplicates()


def test_a_set_too_large_to_compare_is_not_called_free_of_copies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(duplicates, "MOST_PHOTOS", 2)
    assert find_near_duplicates({f"train/1.Pug/{n}.jpg": b"" for n in range(3)}, tmp_path) is None
