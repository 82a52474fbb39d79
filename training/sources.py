"""Where photos come from: drawn, downloaded, from a bucket, or from a folder at hand."""

import shutil
import urllib.parse
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.archive import unpack
from training.errors import PhotosError

TOY: Final = "toy"
KINDS: Final = "toy, https://...zip, s3://bucket/prefix, s3://bucket/photos.zip, or a local folder or zip file"
# Unpacking needs the archive and its contents side by side, and preparing a copy of those.
_SPARE_BYTES: Final = 1 << 30
_ZIP_START: Final = b"PK\x03\x04"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A source by its text, as the user gave it; ``mounted`` is where the platform put it, if it fetched it."""

    text: str
    mounted: Path | None = None

    @property
    def shown(self) -> str:
        """The text without what may be secret: a URL's user, password and query (signed URLs)."""
        parts = urllib.parse.urlsplit(self.text)
        if parts.scheme not in ("http", "https"):
            return self.text
        return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def fetch(self, scratch: Path, seed: int, say: Say) -> Path:
        """Return a folder with the photos; what is fetched or drawn is put below ``scratch``.

        A local folder is returned as it is and never written to.

        Raises:
            PhotosError: unknown kind of source, not found, not allowed, interrupted, not a usable archive.
        """
        # Imported where they are used: every worker process imports this module, and boto3 takes half a second.
        kind, separator, _ = self.text.partition("://")
        if self.text == TOY:
            from training.toy import draw_data_set

            say("drawing the toy photos")
            draw_data_set(scratch / "toy", seed, say)
            return scratch / "toy"
        if self.mounted is not None:
            return self._fetched(self.mounted, scratch, say)
        if not separator:
            return self._local(scratch, say)
        if kind == "https":
            from training.download import download

            archive = scratch / "download.zip"
            download(self.text, archive, shown=self.shown, say=say)
            return _unpacked(archive, scratch, self.shown, say)
        if kind == "s3":
            from training.bucket import fetch_from_bucket

            found = fetch_from_bucket(self.text, scratch / "bucket", say)
            return found if found.is_dir() else _unpacked(found, scratch, self.shown, say)
        hint = " (plain http is not read: anyone on the way could change the photos)" if kind == "http" else ""
        raise PhotosError(f"the source {self.shown!r} is of an unknown kind{hint}: give {KINDS}")

    def _fetched(self, folder: Path, scratch: Path, say: Say) -> Path:
        """Return what stands in a channel: a folder of photos, or the one zip that s3://bucket/photos.zip names."""
        archive = folder / Path(urllib.parse.urlsplit(self.text, allow_fragments=False).path).name
        if archive.suffix.lower() == ".zip" and archive.is_file():
            return _unpacked(archive, scratch, self.shown, say, keep=True)
        return folder

    def _local(self, scratch: Path, say: Say) -> Path:
        if not self.text.strip():
            raise PhotosError(f"no source given: give {KINDS}")
        path = Path(self.text).expanduser()
        if path.is_dir():
            return path
        if path.is_file():
            return _unpacked(path, scratch, self.text, say, keep=True)
        raise PhotosError(f"the source {self.text!r} was not found: give {KINDS}")


def _unpacked(archive: Path, scratch: Path, shown: str, say: Say, keep: bool = False) -> Path:
    if not zipfile.is_zipfile(archive):
        with archive.open("rb") as file:
            start = file.read(16)
        if start.startswith(_ZIP_START):
            raise PhotosError(f"{shown} is a zip archive that is cut short or damaged: make or download it again")
        raise PhotosError(
            f"{shown} is not a zip archive (it starts with {start!r}): give a .zip with the photos in folders"
        )
    free = shutil.disk_usage(scratch).free
    if archive.stat().st_size + _SPARE_BYTES > free:
        raise PhotosError(f"{shown} needs more disk space than the {free >> 20:,} MB that are free")
    say(f"unpacking {archive.stat().st_size / 1e6:,.1f} MB")
    unpack(archive, scratch / "unpacked")
    if not keep:
        archive.unlink()
    return scratch / "unpacked"
