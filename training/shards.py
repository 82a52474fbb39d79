"""A split as a few tar files instead of many photos, laid out as the library webdataset does, with an index.

In train/000000.tar and so on, photo 7 is 0000007.jpg with its class as text in 0000007.cls. train/index.npz says which
bytes of which shard each photo is, so that any photo can be read alone: what Amazon S3 and SageMaker's FastFile mode do
well. The order is that of the same photos as files, so that whatever is drawn by number is the same, too.
"""

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.environment import JobInputError
from training.files import partial_file
from training.photo_list import ROW, LabelledPhoto, PhotoList

INDEX: Final = "index.npz"


def shard_files(split: Path, folders: Sequence[str], photos: PhotoList, photos_per_shard: int) -> int:
    """Turn the files of a split into shards; each photo's file is deleted when its shard has it.

    Args:
        split: the folder with the class folders, which gets the shards in their place.
        folders: the class folders.
        photos: all files in them.
        photos_per_shard: how many each shard but the last gets.

    Returns:
        How many shards there are.
    """

    def moved() -> Iterator[tuple[LabelledPhoto, bytes]]:
        for photo in photos:
            yield photo, photo.read()
            photo.path.unlink()

    count = write_shards(split, folders, moved(), photos_per_shard)
    for folder in folders:
        (split / folder).rmdir()
    return count


def write_shards(
    split: Path, folders: Sequence[str], photos: Iterable[tuple[LabelledPhoto, bytes]], photos_per_shard: int
) -> int:
    """Write shards of photos, whose paths are below ``split``, and then the index; return how many shards there are."""
    names, parts = bytearray(), list[NDArray[np.void]]()
    for shard, group in groupby(enumerate(photos), lambda numbered: numbered[0] // photos_per_shard):
        parts.append(_write_shard(split, shard, group, names))
    with partial_file(split / INDEX) as file:
        np.savez(
            file,
            rows=np.concatenate([np.zeros(0, ROW), *parts]),
            names=np.frombuffer(names, np.uint8),
            folders=np.array(folders),
        )
    return len(parts)


def _write_shard(
    split: Path, shard: int, photos: Iterable[tuple[int, tuple[LabelledPhoto, bytes]]], names: bytearray
) -> NDArray[np.void]:
    """Write one shard; append the photos' names to ``names`` and return their rows."""
    rows = []
    with tarfile.open(split / _shard_name(shard), "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (photo, data) in photos:
            offset = tar.offset + tarfile.BLOCKSIZE  # behind the member's header
            _add(tar, f"{number:07d}.jpg", data)
            _add(tar, f"{number:07d}.cls", str(photo.label).encode())
            name = os.fsencode(photo.path.relative_to(split))
            rows.append((len(names), len(name), photo.label, shard, offset, len(data)))
            names += name
    return np.array(rows, ROW)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # of no time and no owner: the same photos make the same bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _shard_name(shard: int) -> str:
    return f"{shard:06d}.tar"


def is_sharded(split: Path) -> bool:
    """Return whether the photos of ``split`` are in shards."""
    return (split / INDEX).is_file()


def open_shards(split: Path) -> tuple[tuple[str, ...], PhotoList]:
    """Return the class folders and the photos of a split in shards; only the index is read.

    A shard that is cut costs the photos that it has not whole, when they are read.

    Raises:
        JobInputError: the index is damaged or a shard is missing; the message names it.
    """
    path = split / INDEX
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as index:
            rows, names = _checked(index)
            folders = tuple(str(folder) for folder in index["folders"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise JobInputError(f"{path} is damaged: {error}; run prepare.py again") from error
    shards = [_shard_name(shard) for shard in range(int(rows["shard"].max()) + 1 if len(rows) else 0)]
    missing = [shard for shard in shards if not (split / shard).is_file()]
    if missing:
        raise JobInputError(f"{', '.join(missing[:10])} of {split} missing: fetch all of it, or run prepare.py again")
    return folders, PhotoList(split, names, rows, shards)


def _checked(index: Any) -> tuple[NDArray[np.void], bytes]:
    """Return rows and names that belong together; ValueError otherwise."""
    rows, names, classes = index["rows"], index["names"].tobytes(), len(index["folders"])
    if rows.dtype != ROW or rows.ndim != 1:
        raise ValueError(f"rows of {rows.dtype}, {ROW} expected")
    inside = {"label": classes, "shard": len(rows), "name": len(names)}  # no shard is empty, no name either
    if wrong := [column for column, limit in inside.items() if len(rows) and rows[column].max() >= limit]:
        raise ValueError(f"it has a {wrong[0]} beyond its end")
    return rows, names
