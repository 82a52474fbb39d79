"""The photos below a folder, one after the other in the order of their names, however many there are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# What a photo's name ends in, in any case; what is in the file is looked at when it is read.
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif"})
_HIDDEN: Final = "."


@dataclass(frozen=True)
class Found:
    """A photo, or a folder that cannot be looked into.

    Attributes:
        path: where it is.
        name: its path below the folder, with slashes.
        error: why a folder stays closed.
    """

    path: Path
    name: str
    error: str = ""


def photos_below(folder: Path) -> Iterator[Found]:
    """Yield every photo below ``folder``, nested ones too; kept are the names in the folders that lead to it, no more.

    Links are followed, but each folder is looked into once, so that links in a circle end. What is hidden (a name that
    starts with a dot, as in what macOS leaves beside a photo) is left out, and so is what has no photo's suffix.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [_Place(folder, "", is_folder=True)]  # the next one last
    while waiting:
        place = waiting.pop()
        if not place.is_folder:
            yield Found(place.path, place.name)
            continue
        try:
            waiting += reversed(_looked_into(place, seen))
        except OSError as error:
            yield Found(place.path, place.name, f"the folder cannot be read: {error.strerror}")


@dataclass(frozen=True)
class _Place:
    """A photo, or a folder that is to be looked into."""

    path: Path
    name: str
    is_folder: bool


def _looked_into(folder: _Place, seen: set[tuple[int, int]]) -> list[_Place]:
    """Return what there is in a folder, in the order of the names; nothing where it has been ``seen``."""
    known = folder.path.stat()
    if (known.st_dev, known.st_ino) in seen:
        return []
    seen.add((known.st_dev, known.st_ino))
    with os.scandir(folder.path) as entries:
        shown = sorted((entry for entry in entries if not entry.name.startswith(_HIDDEN)), key=lambda entry: entry.name)
    prefix = f"{folder.name}/" if folder.name else ""
    places = [_Place(folder.path / entry.name, prefix + entry.name, _is_folder(entry)) for entry in shown]
    return [place for place in places if place.is_folder or place.path.suffix.lower() in SUFFIXES]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that nobody can follow: who reads it finds out why
        return False
