import errno
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from training.dataset_layout import find_photos
from training.errors import PhotosError

PhotoMaker = Callable[..., bytes]
SetMaker = Callable[..., Path]


def counts(root: Path) -> dict[str, dict[str, int]]:
    return find_photos(root).file_counts


def test_splits_and_classes_are_found(make_set: SetMaker) -> None:
    root = make_set({"train": {"001.Pug": 3, "002.Boxer": 2}, "valid": {"001.Pug": 1}, "test": {"001.Pug": 1}})
    assert counts(root) == {
        "train": {"001.Pug": 3, "002.Boxer": 2},
        "valid": {"001.Pug": 1},
        "test": {"001.Pug": 1},
    }


@pytest.mark.parametrize("name", ["val", "validation", "Valid", "VALIDATION"])
def test_the_validation_split_has_several_names(make_set: SetMaker, name: str) -> None:
    root = make_set({"train": {"Pug": 1}, name: {"Pug": 2}, "test": {"Pug": 1}})
    assert counts(root)["valid"] == {"Pug": 2}


def test_one_split_under_two_names_is_refused(make_set: SetMaker) -> None:
    root = make_set({"train": {"Pug": 1}, "val": {"Pug": 1}, "valid": {"Pug": 1}})
    with pytest.raises(PhotosError, match="the folders val, valid in photos are the same split"):
        find_photos(root)


def test_a_set_without_splits_is_all_train(make_set: SetMaker) -> None:
    layout = find_photos(make_set({None: {"Pug": 2, "Boxer": 3}}))
    assert layout.file_counts == {"train": {"Boxer": 3, "Pug": 2}}
    assert not layout.has_splits


def test_folders_around_everything_are_entered(make_set: SetMaker) -> None:
    make_set({"train": {"Pug": 1}, "test": {"Pug": 1}}, root="photos/download/dogImages")
    root = make_set({}, root="photos")
    (root / "__MACOSX").mkdir()
    assert counts(root) == {"train": {"Pug": 1}, "test": {"Pug": 1}}


def test_a_single_class_folder_is_not_taken_for_a_folder_around_everything(make_set: SetMaker) -> None:
    assert counts(make_set({None: {"Pug": 2}})) == {"train": {"Pug": 2}}


def test_folders_below_a_class_belong_to_it(make_set: SetMaker, photo: PhotoMaker) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (root / "Pug" / "puppies" / "2024").mkdir(parents=True)
    (root / "Pug" / "puppies" / "2024" / "x.JPG").write_bytes(photo())
    assert counts(root)["train"]["Pug"] == 2


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.Png", "a.WEBP"])
def test_photo_names_are_read_in_any_case(make_set: SetMaker, name: str) -> None:
    root = make_set({None: {"Pug": 0, "Boxer": 1}})
    (root / "Pug" / name).touch()
    assert counts(root)["train"]["Pug"] == 1


@pytest.mark.parametrize("name", [".DS_Store", "._a.jpg", "Thumbs.db", ".cache/a.jpg"])
def test_hidden_files_are_ignored_without_a_word(make_set: SetMaker, name: str) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (root / "Pug" / name).parent.mkdir(exist_ok=True)
    (root / "Pug" / name).touch()
    layout = find_photos(root)
    assert layout.file_counts["train"]["Pug"] == 1
    assert layout.left_out == []


def test_other_files_in_a_class_are_left_out_with_a_reason(make_set: SetMaker) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (root / "Pug" / "notes.txt").touch()
    [(name, reason)] = find_photos(root).left_out
    assert name == "Pug/notes.txt"
    assert "not a photo by its name" in reason


def test_a_readme_beside_the_class_folders_is_no_photo_left_out(make_set: SetMaker) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (root / "README.md").touch()
    assert find_photos(root).left_out == []


def test_photos_outside_a_class_folder_are_left_out_with_a_reason(make_set: SetMaker, photo: PhotoMaker) -> None:
    root = make_set({"train": {"Pug": 1}, "test": {"Pug": 1}})
    (root / "loose.jpg").write_bytes(photo())
    (root / "train" / "loose.jpg").write_bytes(photo())
    (root / "extra" / "Pug").mkdir(parents=True)
    (root / "extra" / "Pug" / "1.jpg").write_bytes(photo())
    assert sorted(find_photos(root).left_out) == [
        ("extra/Pug/1.jpg", "not in train, valid or test"),
        ("loose.jpg", "not in train, valid or test"),
        ("train/loose.jpg", "not in a class folder"),
    ]


def test_links_out_of_the_set_are_not_followed(make_set: SetMaker, tmp_path: Path, photo: PhotoMaker) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.jpg").write_bytes(photo())
    (root / "Pug" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "secret.jpg")
    (root / "Pug" / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "Boxer" / "inside.jpg").symlink_to(root / "Pug" / "0.jpg")
    layout = find_photos(root)
    assert layout.file_counts == {"train": {"Boxer": 2, "Pug": 1}}
    assert [name for name, _ in layout.left_out] == ["Pug/folder", "Pug/link.jpg"]


def test_a_link_that_turns_in_a_circle_ends(make_set: SetMaker) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (root / "Pug" / "again").symlink_to(root)
    (root / "Pug" / "itself.jpg").symlink_to(root / "Pug" / "itself.jpg")
    assert find_photos(root).file_counts["train"] == {"Boxer": 1, "Pug": 1}


def test_one_name_in_two_unicode_forms_is_one_class(make_set: SetMaker) -> None:
    composed = unicodedata.normalize("NFC", "Épagneul breton")
    decomposed = unicodedata.normalize("NFD", composed)
    root = make_set({"train": {composed: 1, "柴犬": 1}, "test": {decomposed: 1, "柴犬": 1}})
    assert set(counts(root)["train"]) == set(counts(root)["test"]) == {composed, "柴犬"}


def test_a_name_that_is_no_utf8_can_be_written_down(make_set: SetMaker) -> None:
    root = make_set({None: {"Pug": 1, "Boxer": 1}})
    (root / "Pug" / b"caf\xe9.jpg".decode(errors="surrogateescape")).touch()
    names = [photo.name for photo in find_photos(root).photos]
    assert "Pug/caf?.jpg" in names


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos" / "Pug").mkdir(parents=True)
    with pytest.raises(
        PhotosError, match=r"the folder photos \(class folders: Pug, \.\.\.\) holds no photos: expected"
    ):
        find_photos(tmp_path / "photos")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(PhotosError, match="the folder photos holds no photos"):
        find_photos(tmp_path / "photos")


def test_a_set_with_test_but_without_train_is_refused(make_set: SetMaker) -> None:
    with pytest.raises(PhotosError, match="photos has test, valid but no folder train"):
        find_photos(make_set({"valid": {"Pug": 1}, "test": {"Pug": 1}}))


@pytest.mark.parametrize("name", ["photos.zip", "1.jpg"])
def test_a_folder_without_class_folders_is_refused_with_what_is_there_instead(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / name).touch()
    with pytest.raises(PhotosError, match=rf"the folder photos holds no photos \({name}: not in a class folder\)"):
        find_photos(tmp_path / "photos")


def test_a_folder_that_may_not_be_read_is_left_out_with_a_reason(
    make_set: SetMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, scandir = make_set({None: {"Pug": 1, "Boxer": 1, "Boxer/closed": 1}}), os.scandir

    def refused(path: str) -> object:  # root, as whom tests may run, is refused nothing
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert find_photos(root).left_out == [("Boxer/closed", "a folder that may not be read")]
