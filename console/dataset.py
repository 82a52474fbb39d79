"""Where the photos come from: what was asked for, turned into what the pipeline can read."""

import hashlib
import os
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.errors import ConsoleError
from contract.names import Prefix

TOY: Final = "toy"
_ALLOWED: Final = "Allowed: toy, a folder, a .zip file, an https:// address of a .zip, s3://bucket/prefix"
_PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
# The same folder makes the same archive, byte for byte: no clock, no owner, no file mode in it.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_FILE_MODE: Final = 0o100644 << 16
_FOLDER_MODE: Final = 0o040755 << 16 | 0x10
_CHUNK: Final = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """What the state machine is told; the fingerprint is known only where the content is."""

    uri: str
    fingerprint: str | None = None


def check(data: str) -> str | Path:
    """Return what ``data`` means: a word or address as it is, or the path of a folder or zip file.

    Raises:
        ConsoleError: it is none of these, or nothing is there.
    """
    if data == TOY or data.startswith("s3://"):
        return data
    if data.startswith(("https://", "http://")):
        if data.startswith("http://") or not data.split("?")[0].endswith(".zip"):
            raise ConsoleError(f"--data {data}: an address must be https:// and end in .zip.", _ALLOWED)
        return data
    path = Path(data).expanduser()
    if path.is_dir():
        _check_folder(path)
        return path
    if not path.is_file():
        raise ConsoleError(f"--data {data}: there is no such folder or file.", _ALLOWED)
    if not zipfile.is_zipfile(path):
        raise ConsoleError(f"--data {data}: this file is no zip archive.", _ALLOWED)
    return path


def _check_folder(folder: Path) -> None:
    """Find at once what preparing the photos would find after minutes: no photos, or a class folder without any."""
    entries = _entries(folder)
    if not any(Path(name).suffix.lower() in _PHOTO_SUFFIXES for name in entries):
        raise ConsoleError(
            f"The folder {folder} holds no photos (.jpg, .jpeg, .png, .webp).",
            "Expected below it: {train,valid,test}/<class>/*.jpg, or <class>/*.jpg",
        )
    # In sorted order what a folder holds follows it directly.
    followers = zip(entries, [*entries[1:], ""], strict=True)
    empty = [name for name, follower in followers if name.endswith("/") and not follower.startswith(name)]
    if empty:
        raise ConsoleError(
            f"The folder {folder / empty[0]} is empty: a class needs photos in every split.",
            "Add photos of the class, or remove its folder from every split.",
        )


def _entries(folder: Path) -> list[str]:
    """Return the relative paths of all folders (with a slash at the end) and regular files, sorted; hidden ones not."""
    found: list[str] = []
    seen = {folder.resolve()}  # links to folders are followed, but never in circles
    for current, folders, files in os.walk(folder, followlinks=True):
        inner = {name: (Path(current) / name).resolve() for name in folders if not _is_noise(name)}
        folders[:] = [name for name, target in inner.items() if target not in seen]
        seen.update(inner.values())
        relative = Path(current).relative_to(folder)
        found += [f"{(relative / name).as_posix()}/" for name in folders]
        found += [
            (relative / name).as_posix() for name in files if not _is_noise(name) and (Path(current) / name).is_file()
        ]
    return sorted(found)


def _is_noise(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def pack(folder: Path, archive: Path, progress: Progress) -> None:
    """Write a folder as a zip that depends on names and contents only.

    Folders are entries too: a class folder without photos must reach the pipeline, which names it in its error.
    Photos are compressed already, so nothing is compressed again.
    """
    entries = _entries(folder)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for number, name in enumerate(entries, 1):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix; the default is the system's own
            if name.endswith("/"):
                entry.external_attr = _FOLDER_MODE
                packed.writestr(entry, b"")
            else:
                entry.external_attr = _FILE_MODE
                _copy(folder / name, entry, packed)
            progress(number, len(entries))


def _copy(path: Path, entry: zipfile.ZipInfo, packed: zipfile.ZipFile) -> None:
    entry.file_size = path.stat().st_size
    with path.open("rb") as source, packed.open(entry, "w") as target:
        while chunk := source.read(_CHUNK):
            target.write(chunk)


def sha256(path: Path) -> str:
    """Return a file's hash in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upload(archive: Path, cloud: Cloud, bucket: str, progress: Progress) -> Source:
    """Put an archive into the bucket under its hash, unless it is there already."""
    fingerprint = sha256(archive)
    key = f"{Prefix.DATASETS}/{fingerprint}.zip"
    s3 = cloud.client("s3")
    if not _exists(s3, bucket, key):
        total = archive.stat().st_size
        sent, counting = 0, threading.Lock()

        def count(sent_now: int) -> None:  # by several threads, one part of the archive each
            nonlocal sent
            with counting:
                sent += sent_now
                progress(sent, total)

        s3.upload_file(str(archive), bucket, key, Callback=count)
    return Source(f"s3://{bucket}/{key}", fingerprint)


def _exists(s3: Any, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return False
        raise
    return True
