"""Where the photos of a data set lie: which split, which class, which files."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from training.archive import is_hidden
from training.errors import PhotosError

PHOTO_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
EXPECTED: Final = (
    "expected {train,valid,test}/<class>/*.jpg, or <class>/*.jpg to be split by the job (JPEG, PNG or WebP)"
)
SPLIT_NAMES: Final = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class FoundPhoto:
    """A file that may be a photo; ``name`` is its path below the data set's root, for people."""

    path: Path
    name: str
    folder: str


@dataclass(frozen=True)
class Layout:
    """The files of a data set.

    Attributes:
        splits: per split, its class folders; per class folder its files (perhaps none). A set without splits has
            everything in train.
        has_splits: whether the set came with splits of its own.
        left_out: (name, reason) of the files that cannot be used, known by their name or place alone.
    """

    splits: dict[str, dict[str, list[FoundPhoto]]]
    has_splits: bool
    left_out: list[tuple[str, str]]

    @property
    def photos_by_split(self) -> list[tuple[str, FoundPhoto]]:
        """All files with their splits, in a fixed order."""
        return [(split, p) for split, classes in self.splits.items() for found in classes.values() for p in found]

    @property
    def photos(self) -> list[FoundPhoto]:
        """All files, in the same order."""
        return [photo for _, photo in self.photos_by_split]

    @property
    def file_counts(self) -> dict[str, dict[str, int]]:
        """Per split and class folder, the number of files."""
        return {
            split: {folder: len(found) for folder, found in classes.items()} for split, classes in self.splits.items()
        }


def find_photos(root: Path) -> Layout:
    """Return the layout of the data set in the folder ``root``, which may hold one top folder around everything.

    Raises:
        PhotosError: no photos at all, no class folders, no train folder, or one split under two names.
    """
    top = _below_top_folders(root.resolve())
    folders = _folders(top)
    split_of = {folder: SPLIT_NAMES[folder.name.lower()] for folder in folders if folder.name.lower() in SPLIT_NAMES}
    left_out: list[tuple[str, str]] = []
    if split_of:
        splits = _read_splits(top, split_of, left_out)
        for stray in (folder for folder in folders if folder not in split_of):
            left_out += [(name, "not in train, valid or test") for name in _photo_names(stray, top)]
        reason = "not in train, valid or test"
    else:
        splits = {"train": _read_classes(top, folders, left_out)}
        reason = "not in a class folder"
    left_out += [(_printable(path.name), reason) for path in _loose_photos(top)]
    if not any(photos for classes in splits.values() for photos in classes.values()):
        empty = next((c for classes in splits.values() for c in classes), None)
        where = f"the folder {top.name}" if empty is None else f"the folder {top.name} (class folders: {empty}, ...)"
        raise PhotosError(f"{where} holds no photos{_passed_over(top, left_out)}: {EXPECTED}")
    return Layout(splits, bool(split_of), left_out)


def _passed_over(top: Path, left_out: list[tuple[str, str]]) -> str:
    """Return an example of what is there in place of photos, in parentheses; nothing where nothing is."""
    if not left_out:
        left_out = [(_printable(path.relative_to(top).as_posix()), "not in a class folder") for path in _files(top)]
    return "".join(f" ({name}: {reason})" for name, reason in left_out[:1])


def _below_top_folders(root: Path) -> Path:
    """Go down while a folder holds nothing but one folder of folders; never into a split or past class folders."""
    while not _loose_photos(root):
        folders = _folders(root)
        if len(folders) != 1 or folders[0].name.lower() in SPLIT_NAMES or not _folders(folders[0]):
            break
        root = folders[0]
    return root


def _read_splits(
    top: Path, split_of: dict[Path, str], left_out: list[tuple[str, str]]
) -> dict[str, dict[str, list[FoundPhoto]]]:
    splits: dict[str, dict[str, list[FoundPhoto]]] = {}
    for folder, split in sorted(split_of.items()):
        if split in splits:
            names = ", ".join(sorted(f.name for f, s in split_of.items() if s == split))
            raise PhotosError(f"the folders {names} in {top.name} are the same split: keep one of them")
        splits[split] = _read_classes(top, _folders(folder), left_out)
        left_out += [
            (_printable(f"{folder.name}/{path.name}"), "not in a class folder") for path in _loose_photos(folder)
        ]
    if "train" not in splits:
        raise PhotosError(f"{top.name} has {', '.join(sorted(splits))} but no folder train: {EXPECTED}")
    return splits


def _read_classes(top: Path, folders: list[Path], left_out: list[tuple[str, str]]) -> dict[str, list[FoundPhoto]]:
    classes: dict[str, list[FoundPhoto]] = {}
    for folder in folders:
        # macOS writes names decomposed: the same breed must be one class, wherever its folder was made.
        name = unicodedata.normalize("NFC", _printable(folder.name))
        found = classes.setdefault(name, [])
        for path in _files(folder):
            relative = _printable(path.relative_to(top).as_posix())
            reason = _unusable(path, top)
            if reason is None:
                found.append(FoundPhoto(path, relative, name))
            else:
                left_out.append((relative, reason))
    return classes


def _unusable(path: Path, top: Path) -> str | None:
    # realpath, because Path.resolve raises on a link that leads to itself before Python 3.13.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(top):
        return "a link that leads outside the data set: put the photo itself there"
    if path.is_dir() and not path.is_symlink():
        return "a folder that may not be read"
    if path.is_dir():
        return "a link to a folder, which is not followed: put the photos themselves there"
    if not path.is_file():
        return "no regular file"
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        return f"not a photo by its name: {', '.join(PHOTO_SUFFIXES)} are read"
    return None


def _files(folder: Path) -> Iterator[Path]:
    """Yield the visible files below ``folder``, links to folders and folders that may not be read, in a fixed order."""
    if folder.is_symlink():
        yield folder
        return
    closed: list[Path] = []
    for here, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not is_hidden(PurePosixPath(name)))
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not is_hidden(PurePosixPath(name)):
                yield Path(here) / name
    yield from closed


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(PurePosixPath(path.name)))


def _loose_photos(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file() and not is_hidden(PurePosixPath(path.name))
    )


def _photo_names(folder: Path, top: Path) -> list[str]:
    return [_printable(p.relative_to(top).as_posix()) for p in _files(folder) if p.suffix.lower() in PHOTO_SUFFIXES]


def _printable(name: str) -> str:
    """Return a name that can be written down: bytes that are no UTF-8 and control characters become question marks."""
    return "".join(c if c.isprintable() else "?" for c in name.encode(errors="replace").decode())
