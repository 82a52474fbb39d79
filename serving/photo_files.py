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
    """Yield every photo below ``folder``, nested ones too; nothing but the names of one folder at a time is kept.

    Links are followed, but each folder is looked into once, so that links in a circle end. What is hidden (a name that
    starts with a dot, as in what macOS leaves beside a photo) is left out, and so is what has no photo's suffix.
    """
    yield from _below(folder, "", set())


def _below(folder: Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[Found]:
    try:
        known = folder.stat()
        if (known.st_dev, known.st_ino) in seen:
            return
        seen.add((known.st_dev, known.st_ino))
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(_HIDDEN))
    except OSError as error:
        yield Found(folder, prefix.rstrip("/"), f"the folder cannot be read: {error.strerror}")
        return
    for name in names:
        path = folder / name
        if path.is_dir():
            yield from _below(path, f"{prefix}{name}/", seen)
        elif path.suffix.lower() in SUFFIXES:
            yield Found(path, prefix + name)
