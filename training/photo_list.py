"""The photos of one split as a few arrays: 30 bytes and a name for each, so that long lists cost next to nothing."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from vision.photos import PhotoError

_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".webp")
# Where its name stands among all names, its class, and where its bytes stand where the photos are in shards.
ROW: Final = np.dtype(
    [("name", "<u8"), ("name_bytes", "<u2"), ("label", "<u4"), ("shard", "<u4"), ("offset", "<u8"), ("bytes", "<u4")]
)


@dataclass(frozen=True)
class Stretch:
    """The part of a file that is one photo."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            PhotoError: the file ends before the photo does.
            OSError: the file cannot be read.
        """
        with self.file.open("rb", buffering=0) as file:
            data = os.pread(file.fileno(), self.size, self.offset)
        if len(data) < self.size:
            raise PhotoError(f"{self.file.name} is cut: {len(data):,} of the photo's {self.size:,} bytes are there")
        return data


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and the index of its class.

    ``path`` names it in every message; it is a file of its own unless ``stretch`` says where in a shard it stands.
    """

    path: Path
    label: int
    stretch: Stretch | None = None

    def read(self) -> bytes:
        """Return the photo as it was prepared.

        Raises:
            PhotoError: its shard ends before it does.
            OSError: the file cannot be read.
        """
        return self.path.read_bytes() if self.stretch is None else self.stretch.read()


class PhotoList(Sequence[LabelledPhoto]):
    """Photos in a fixed order, made when they are asked for; a slice is a view of the same arrays.

    Args:
        split: the folder that names are relative to, and that shards stand in.
        names: all names, one after the other.
        rows: (N,) of ROW.
        shards: the names of the shards; none: every photo is a file.
    """

    def __init__(self, split: Path, names: bytes, rows: NDArray[np.void], shards: Sequence[str] = ()) -> None:
        self._split, self._names, self._rows, self._shards = split, names, rows, shards

    def __len__(self) -> int:
        """Return how many photos there are."""
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> LabelledPhoto: ...

    @overload
    def __getitem__(self, index: slice) -> "PhotoList": ...

    def __getitem__(self, index: int | slice) -> "LabelledPhoto | PhotoList":
        """Return one photo, or some of them as another list."""
        if isinstance(index, slice):
            return PhotoList(self._split, self._names, self._rows[index], self._shards)
        name, name_bytes, label, shard, offset, size = self._rows[index].item()
        path = self._split / os.fsdecode(self._names[name : name + name_bytes])
        stretch = Stretch(self._split / self._shards[shard], offset, size) if self._shards else None
        return LabelledPhoto(path, label, stretch)

    def __iter__(self) -> Iterator[LabelledPhoto]:
        """Yield every photo, one at a time."""
        return (self[number] for number in range(len(self)))

    @property
    def labels(self) -> NDArray[np.int64]:
        """The classes of all photos: (N,)."""
        return self._rows["label"].astype(np.int64)


def class_folders(split: Path) -> tuple[str, ...]:
    """Return the names of the folders in ``split``, in the order of the model's outputs; none where it is no folder."""
    return tuple(sorted(path.name for path in split.iterdir() if path.is_dir())) if split.is_dir() else ()


def list_files(split: Path, folders: Sequence[str]) -> PhotoList:
    """List the photos that are files in the class folders of ``split``: class by class, in the order of their names."""
    names, parts = bytearray(), [np.zeros(0, ROW)]
    for label, folder in enumerate(folders):
        found = [os.fsencode(f"{folder}/{name}") for name in _photo_names(split / folder)]
        rows = np.zeros(len(found), ROW)
        rows["label"] = label
        rows["name_bytes"] = [len(name) for name in found]
        rows["name"] = len(names) + np.cumsum(rows["name_bytes"], dtype=np.uint64) - rows["name_bytes"]
        names += b"".join(found)
        parts.append(rows)
    return PhotoList(split, bytes(names), np.concatenate(parts))


def _photo_names(folder: Path) -> list[str]:
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208  # no path object for each of them
    return sorted(name for name in names if name.lower().endswith(_ENDINGS))
