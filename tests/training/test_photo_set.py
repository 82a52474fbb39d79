import json
from pathlib import Path

import pytest

from training.environment import JobInputError
from training.photo_set import LabelledPhoto, PhotoReader, open_photo_set


def test_photos_are_listed_with_their_labels(prepared: Path) -> None:
    photos = open_photo_set(prepared)
    assert photos.classes.folders == ("001.Red_dog", "002.Blue_dog")
    assert photos.fingerprint == "f" * 64
    assert {split: len(found) for split, found in photos.splits.items()} == {"train": 16, "valid": 6, "test": 6}
    assert all(photos.classes.folders[photo.label] == photo.path.parent.name for photo in photos.splits["train"])


def test_a_folder_that_was_not_prepared_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobInputError, match=r"holds no prepared photos: summary.json is missing"):
        open_photo_set(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_summary_is_refused(prepared: Path, content: str) -> None:
    (prepared / "summary.json").write_text(content)
    with pytest.raises(JobInputError, match=r"summary.json is damaged"):
        open_photo_set(prepared)


def test_a_split_without_photos_of_a_class_is_refused(prepared: Path) -> None:
    for path in (prepared / "valid" / "001.Red_dog").iterdir():
        path.unlink()
    with pytest.raises(JobInputError, match=r"valid/001.Red_dog holds no photos"):
        open_photo_set(prepared)


def test_a_set_of_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train" / "001.Only").mkdir(parents=True)
    (tmp_path / "summary.json").write_text(json.dumps({"fingerprint": "x"}))
    with pytest.raises(JobInputError, match="1 class folders, at least 2 expected"):
        open_photo_set(tmp_path)


def test_a_photo_that_cannot_be_decoded_is_logged_once(prepared: Path, log: list[str]) -> None:
    broken = prepared / "train" / "001.Red_dog" / "0.jpg"
    broken.write_bytes(broken.read_bytes()[:100])
    reader = PhotoReader(prepared, log.append)
    assert reader.read(LabelledPhoto(broken, 0)) is None
    assert reader.read(LabelledPhoto(broken, 0)) is None
    assert reader.left_out == ("train/001.Red_dog/0.jpg",)
    assert len(log) == 1
    assert log[0].startswith("left out train/001.Red_dog/0.jpg: ")


def test_a_photo_that_vanished_is_left_out(prepared: Path, log: list[str]) -> None:
    reader = PhotoReader(prepared, log.append)
    assert reader.read(LabelledPhoto(prepared / "train" / "gone.jpg", 0)) is None
    assert reader.left_out == ("train/gone.jpg",)


@pytest.fixture
def log() -> list[str]:
    return []
