import os
from pathlib import Path

import pytest

from serving.photo_files import photos_below


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return [found.name for found in photos_below(folder)]


def test_nested_photos_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "a/2.PNG", "a/1.jpeg", "a/deep/er/3.webp", "c.HEIC")
    assert names(tmp_path) == ["a/1.jpeg", "a/2.PNG", "a/deep/er/3.webp", "b.jpg", "c.HEIC"]


def test_what_is_hidden_or_no_photo_by_its_name_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, ".a.jpg", ".trash/b.jpg", "._c.jpg", "notes.txt", "jpg", "d.jpg")
    assert names(tmp_path) == ["d.jpg"]


def test_odd_names_are_yielded_as_they_are(tmp_path: Path) -> None:
    odd = ["=1+1.jpg", "a\nb.jpg", "Мопс 🐶.jpg", os.fsdecode(b"\xff.jpg")]
    put(tmp_path, *odd)
    assert sorted(names(tmp_path)) == sorted(odd)


def test_links_in_a_circle_end_and_linked_folders_are_looked_into_once(tmp_path: Path) -> None:
    put(tmp_path, "photos/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "photos" / "up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "there").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "there_too").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "photos")
    assert names(tmp_path / "photos") == ["a.jpg", "there/b.jpg"]


def test_a_link_that_leads_nowhere_is_yielded_for_who_reads_it(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    assert names(tmp_path) == ["gone.jpg"]


def test_a_folder_named_like_a_photo_is_looked_into(tmp_path: Path) -> None:
    put(tmp_path, "album.jpg/a.jpg")
    assert names(tmp_path) == ["album.jpg/a.jpg"]


def test_a_closed_folder_is_yielded_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.jpg", "closed/b.jpg", "z.jpg")
    scandir = os.scandir

    def refused(path: Path) -> object:
        if path.name == "closed":  # chmod does not keep root out
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("serving.photo_files.os.scandir", refused)
    found = list(photos_below(tmp_path))
    assert [(each.name, each.error) for each in found] == [
        ("a.jpg", ""),
        ("closed", "the folder cannot be read: Permission denied"),
        ("z.jpg", ""),
    ]


def test_a_folder_whose_files_cannot_be_looked_at_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.jpg", "listed/b.jpg", "listed/within/c.jpg", "z.jpg")
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parent.name == "listed":  # as in a folder that may be read and not searched
            raise PermissionError(13, "Permission denied")
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    found = list(photos_below(tmp_path))
    assert [(each.name, each.error) for each in found] == [
        ("a.jpg", ""),
        ("listed/b.jpg", ""),
        ("listed/within", "the folder cannot be read: Permission denied"),
        ("z.jpg", ""),
    ]
