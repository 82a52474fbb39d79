import re
import unicodedata
from collections import Counter

import pytest

from training.errors import PhotosError
from training.splits import UsablePhoto, check_folders, check_usable, drop_duplicates, fill_missing_splits


def photo(number: int, folder: str = "Pug", split: str = "train", sha256: str | None = None) -> UsablePhoto:
    return UsablePhoto(number, f"{split}/{folder}/{number}.jpg", folder, split, sha256 or f"{number:04d}")


def split_counts(photos: list[UsablePhoto], folder: str = "Pug") -> dict[str, int]:
    return dict(Counter(photo.split for photo in photos if photo.folder == folder))


def test_a_set_without_splits_is_divided_80_10_10_in_every_class() -> None:
    photos = [photo(i, "Pug") for i in range(100)] + [photo(200 + i, "Boxer") for i in range(30)]
    divided = fill_missing_splits(photos, ("valid", "test"), seed=0)
    assert split_counts(divided) == {"train": 80, "valid": 10, "test": 10}
    assert split_counts(divided, "Boxer") == {"train": 24, "valid": 3, "test": 3}


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_a_small_class_has_at_least_one_photo_in_every_split(count: int) -> None:
    divided = fill_missing_splits([photo(i) for i in range(count)], ("valid", "test"), seed=0)
    assert split_counts(divided) == {"train": count - 2, "valid": 1, "test": 1}


def test_a_class_of_two_photos_cannot_be_divided() -> None:
    with pytest.raises(PhotosError, match=r"class folder Pug holds 2 usable photos to train on: at least 3 are needed"):
        fill_missing_splits([photo(0), photo(1)], ("valid", "test"), seed=0)


def test_a_missing_validation_split_comes_from_train() -> None:
    photos = [photo(i) for i in range(20)] + [photo(100 + i, split="test") for i in range(5)]
    divided = fill_missing_splits(photos, ("valid",), seed=0)
    assert split_counts(divided) == {"train": 18, "valid": 2, "test": 5}


def test_splits_depend_on_the_seed_and_on_nothing_else() -> None:
    photos = [photo(i) for i in range(50)]
    first = fill_missing_splits(photos, ("valid", "test"), seed=1)
    assert fill_missing_splits(photos[::-1], ("valid", "test"), seed=1) == first
    assert fill_missing_splits(photos, ("valid", "test"), seed=2) != first


def test_a_photo_in_two_splits_stays_where_it_was_tested() -> None:
    kept, left_out = drop_duplicates([photo(0, sha256="a"), photo(1, split="test", sha256="a"), photo(2)])
    assert [p.number for p in kept] == [1, 2]
    assert left_out == [("train/Pug/0.jpg", "the same photo as test/Pug/1.jpg")]


def test_a_photo_twice_in_a_class_is_kept_once() -> None:
    kept, left_out = drop_duplicates([photo(0, sha256="a"), photo(1, sha256="a")])
    assert [p.number for p in kept] == [0]
    assert len(left_out) == 1


def test_a_photo_in_two_classes_is_left_out_of_both() -> None:
    kept, left_out = drop_duplicates([photo(0, "Pug", sha256="a"), photo(1, "Boxer", sha256="a"), photo(2)])
    assert [p.number for p in kept] == [2]
    assert [reason for _, reason in left_out] == [
        "the same photo stands in Boxer and Pug: one of the labels is wrong"
    ] * 2


def test_classes_are_in_the_order_of_their_folders() -> None:
    assert check_folders({"train": {"002.B": 1, "001.A": 1}}, {}) == ("001.A", "002.B")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"train": {"A": 1, "B": 1}, "valid": {"A": 1}}, "split valid lacks the class folder B, which train has"),
        (
            {"train": {"A": 1, "B": 1}, "test": {"A": 1, "B": 1, "C": 1}},
            "split test has the class folder C, which train",
        ),
        ({"train": {"A": 1, "B": 0}, "test": {"A": 1, "B": 1}}, "class folder train/B holds no photos"),
        ({"train": {"A": 1, "B": 1}, "test": {"A": 1, "B": 0}}, "class folder test/B holds no photos"),
        ({"train": {"A": 1, "B": 0}}, "class folder B holds no photos"),
        ({"train": {"A": 1}}, "the only class folder is A: a classifier needs at least 2"),
        ({"train": {"001.A": 1, "002.A": 1}}, "several class folders read as A"),
    ],
)
def test_folders_that_cannot_be_trained_on_are_named(found: dict[str, dict[str, int]], message: str) -> None:
    with pytest.raises(PhotosError, match=message):
        check_folders(found, {})


def test_a_class_whose_photos_are_all_bad_is_named_with_the_first_reason() -> None:
    found = {"train": {"A": 1, "B": 1}, "test": {"A": 1, "B": 1}}
    usable = [photo(0, "A"), photo(1, "B"), photo(2, "A", "test")]
    reasons = {"train/B/9.jpg": "too large", "test/B/0.jpg": "the photo is empty (0 bytes)"}
    with pytest.raises(PhotosError, match=r"class folder test/B holds no usable photos \(test/B/0.jpg: the photo is"):
        check_usable(found, usable, reasons)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ({"train": {"Pug": 1, "Pugapoo": 0}}, "Pugapoo/1.HEIC"),
        ({"train": {"Pug": 1, "Pugapoo": 1}, "valid": {"Pug": 1, "Pugapoo": 0}}, "Validation/Pugapoo/1.HEIC"),
        ({"train": {"Épagneul": 0, "Pug": 1}}, unicodedata.normalize("NFD", "Épagneul/1.HEIC")),
    ],
)
def test_an_empty_class_is_named_with_a_file_that_is_not_read(found: dict[str, dict[str, int]], name: str) -> None:
    others = {"Pug/1.HEIC": "another class's", "train/Pugapoo/1.HEIC": "another split's"}
    with pytest.raises(PhotosError, match=rf"holds no photos \({re.escape(name)}: no photo by its name\): add JPEG"):
        check_folders(found, {**others, name: "no photo by its name"})
