"""Zip archives from anywhere, unpacked without trusting them."""

import errno
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from training.errors import PhotosError

_CHUNK: Final = 1 << 20
_GIB: Final = 1 << 30
# So much of a name that is too long is shown.
_MOST_SHOWN: Final = 100
# General purpose flag 11 of the zip format: the name is UTF-8.
_UTF8_FLAG: Final = 1 << 11
# What file systems say to a name of over 255 bytes, one they do not write, and one name for a file and a folder.
_BAD_NAMES: Final = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


@dataclass(frozen=True)
class Limits:
    """How much one archive may hold; ten times the size of the largest set known to be used (ImageNet aside)."""

    files: int = 500_000
    total_bytes: int = 40 * _GIB
    file_bytes: int = 256 << 20
    # Photos are compressed already, real sets are near 1; a bomb's members are near 1000.
    ratio: int = 100


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack the zip file ``archive`` into the folder ``target``, which is made.

    Nothing is written outside ``target``: absolute names, ``..`` and links are refused, hidden files passed over.
    Sizes are checked as declared before anything is written, and as they really are while writing.

    Raises:
        PhotosError: no zip, damaged, encrypted, unsafe names or too much in it.
    """
    limits = limits or Limits()
    target.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            for folder in filter(zipfile.ZipInfo.is_dir, opened.infolist()):
                # An empty one is a class without photos, which has to be named.
                place = _place(archive, folder)
                if not is_hidden(place):
                    with _named(archive, place):
                        (target / place).mkdir(parents=True, exist_ok=True)
            members = [member for member in opened.infolist() if not member.is_dir()]
            _check_declared(archive, members, limits)
            places = {member: _place(archive, member) for member in members}
            room = limits.total_bytes
            for member, place in places.items():
                if not is_hidden(place):
                    with _named(archive, place):
                        room -= _extract(opened, member, target / place, min(room, limits.file_bytes), archive)
    except zipfile.BadZipFile as error:
        raise PhotosError(
            f"{archive.name} is no usable zip archive ({error}): make or download it again as a .zip"
        ) from error
    except (zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        # RuntimeError is zipfile's word for an encrypted member, NotImplementedError for a foreign compression.
        raise PhotosError(
            f"{archive.name} cannot be unpacked ({error}): make it again as a plain .zip, without a password"
        ) from error


@contextmanager
def _named(archive: Path, place: PurePosixPath) -> Iterator[None]:
    """Say of what cannot be written whether its name is to blame, or the archive."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # bz2's word for damaged data
            raise zipfile.BadZipFile(f"{place}: {error}") from error
        if error.errno not in _BAD_NAMES:
            raise
        shown = place if len(str(place)) <= _MOST_SHOWN else f"{str(place)[:_MOST_SHOWN]}..."
        raise PhotosError(
            f"{archive.name} holds {str(shown)!r}, which cannot be written here ({error.strerror}): give it another "
            "name and make the archive again"
        ) from error


def is_hidden(path: PurePosixPath) -> bool:
    """Whether file managers made it, not people: dot files, __MACOSX, Thumbs.db, desktop.ini."""
    return any(part.startswith(".") or part in ("__MACOSX", "Thumbs.db", "desktop.ini") for part in path.parts)


def _check_declared(archive: Path, members: list[zipfile.ZipInfo], limits: Limits) -> None:
    total = sum(member.file_size for member in members)
    packed = max(archive.stat().st_size, 1)
    if len(members) > limits.files:
        raise PhotosError(f"{archive.name} holds {len(members):,} files; at most {limits.files:,} are unpacked")
    if total > limits.total_bytes:
        raise PhotosError(
            f"{archive.name} would unpack to {total:,} bytes; at most {limits.total_bytes:,} are unpacked"
        )
    if total > limits.ratio * packed and total > _CHUNK:
        raise PhotosError(
            f"{archive.name} would unpack to {total // packed:,} times its size, which photos never do: it looks like "
            "a zip bomb and is not unpacked"
        )


def _place(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    """Return where the member goes, relative to the target; backslashes come from old Windows archivers."""
    name = _name(member).replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or (len(name) > 1 and name[1] == ":"):
        raise PhotosError(f"{archive.name} holds the unsafe file name {name!r}: make it again from the folder's inside")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise PhotosError(f"{archive.name} holds the link {name!r}; put the photo itself into the archive")
    return path


def _name(member: zipfile.ZipInfo) -> str:
    """Return the member's name; macOS writes UTF-8 without saying so, and zipfile then reads the DOS code page."""
    if not member.flag_bits & _UTF8_FLAG:
        try:
            return member.filename.encode("cp437").decode()
        except UnicodeError:  # it is of the DOS code page
            pass
    return member.filename


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, room: int, archive: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as packed, path.open("wb") as file:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            if written > room:
                raise PhotosError(f"{member.filename!r} in {archive.name} is too large: {room:,} bytes are left for it")
            file.write(chunk)
    return written
