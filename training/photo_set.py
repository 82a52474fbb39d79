"""The prepared photos on disk: which there are, what they show, and reading them without failing for one of them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.classes import Classes
from contract.names import SPLITS, PreparedFile
from training.environment import JobInputError
from training.photo_list import LabelledPhoto, PhotoList, class_folders, list_files
from training.progress import say
from training.shards import is_sharded, open_shards
from vision.decoding import decode
from vision.photos import PhotoError
from vision.pixels import Pixels

__all__ = ["LabelledPhoto", "PhotoList", "PhotoReader", "PhotoSet", "open_photo_set"]


@dataclass(frozen=True)
class PhotoSet:
    """What prepare.py left: the classes, the photos of each split in a fixed order, the fingerprint of all of it."""

    directory: Path
    classes: Classes
    fingerprint: str
    splits: dict[str, PhotoList]


def open_photo_set(directory: Path) -> PhotoSet:
    """List the prepared photos in ``directory``, files and shards alike.

    Raises:
        JobInputError: the folder is no prepared data set; the message names what is missing.
    """
    summary_path = directory / PreparedFile.SUMMARY
    if not summary_path.is_file():
        raise JobInputError(
            f"{directory} holds no prepared photos: {PreparedFile.SUMMARY} is missing; "
            "run prepare.py and give its model folder"
        )
    try:
        fingerprint = str(json.loads(summary_path.read_text(encoding="utf-8"))["fingerprint"])
    except (ValueError, KeyError, TypeError) as error:
        raise JobInputError(f"{summary_path} is damaged: {error!r}; run prepare.py again") from error
    folders = _class_folders(directory / "train")
    splits = {split: _photos(directory / split, folders) for split in SPLITS}
    return PhotoSet(directory, Classes(folders), fingerprint, splits)


def _class_folders(train: Path) -> tuple[str, ...]:
    folders = open_shards(train)[0] if is_sharded(train) else class_folders(train)
    if len(folders) < 2:
        raise JobInputError(f"{train} holds {len(folders)} class folders, at least 2 expected; run prepare.py again")
    return folders


def _photos(split: Path, folders: tuple[str, ...]) -> PhotoList:
    found, photos = open_shards(split) if is_sharded(split) else (folders, list_files(split, folders))
    if found != folders:
        raise JobInputError(f"the shards in {split} are of other classes than those in train; run prepare.py again")
    counts = np.bincount(photos.labels, minlength=len(folders))
    if not counts.all():
        empty = split / folders[int(counts.argmin())]
        raise JobInputError(f"class folder {empty} holds no photos; run prepare.py again")
    return photos


class PhotoReader:
    """Decodes photos; one that cannot be decoded is logged once and left out, and costs the run nothing else."""

    def __init__(self, root: Path, log: Callable[[str], None] = say) -> None:
        self._root = root
        self._log = log
        self._left_out: dict[Path, str] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """The photos that could not be decoded so far, by their paths within the data set."""
        return tuple(sorted(str(path.relative_to(self._root)) for path in self._left_out))

    def note(self, left_out: Iterable[str], reason: str) -> None:
        """Count photos in that were left out elsewhere, by their paths within the data set; what is new is logged."""
        for name in left_out:
            path = self._root / name
            if path not in self._left_out:
                self._left_out[path] = reason
                self._log(f"left out {name}: {reason}")

    def read(self, photo: LabelledPhoto) -> Pixels | None:
        """Return the photo as serving would see it, or None where it cannot be decoded."""
        try:
            return decode(photo.read())
        except (PhotoError, OSError) as error:
            if photo.path not in self._left_out:
                self._left_out[photo.path] = str(error)
                self._log(f"left out {photo.path.relative_to(self._root)}: {error}")
            return None
