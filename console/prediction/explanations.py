"""Where the pictures go that show what the model looked at."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from console.errors import ConsoleError, UsageError
from console.files import replacing
from console.prediction.failure import Cause, PhotoError
from console.prediction.photos import STDIN, is_address
from contract.inference import Explanation

_ENDINGS: Final = (".jpg", ".jpeg")
_NAME: Final = ".explained.jpg"
# File systems take 255 bytes.
_MAX_STEM: Final = 60


class Explanations:
    """Writes each picture under a name of its own, whole or not at all."""

    def __init__(self, path: Path, *, is_folder: bool) -> None:
        self._path = path
        self._is_folder = is_folder
        self._taken: set[str] = set()

    @classmethod
    def at(cls, text: str, photos: Sequence[str]) -> "Explanations":
        """Return where ``--explain`` says: a .jpg for one photo, else a folder, which is made.

        Raises:
            UsageError: that is nowhere for these photos.
            ConsoleError: the folder cannot be made.
        """
        path = Path(text)
        is_folder = text.endswith(os.sep) or path.is_dir() or not path.suffix
        if is_folder:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConsoleError(f"{path}: {error.strerror}.") from error
            return cls(path, is_folder=True)
        if path.suffix.lower() not in _ENDINGS:
            raise UsageError(f"{path}: explanations are written as .jpg.", "For example: --explain looked.jpg")
        if len(photos) > 1:
            raise UsageError(f"{path} is one file, for {len(photos)} photos.", "Name a folder: --explain looked/")
        if path.exists():  # perhaps a photo, meant to be asked about
            raise UsageError(
                f"{path} exists already, and is not written over.", "Name another file, or a folder: --explain looked/"
            )
        return cls(path, is_folder=False)

    def keep(self, photo: str, explanation: Explanation) -> Path:
        """Write the picture of one photo; return where.

        Raises:
            PhotoError: it cannot be written.
        """
        path = self._path / self._name(photo) if self._is_folder else self._path
        try:
            with replacing(path) as partial:
                partial.write_bytes(explanation.data)
        except OSError as error:
            reason = f"What the model looked at cannot be written to {path}: {error.strerror}."
            raise PhotoError(Cause.NOT_WRITTEN, reason) from error
        return path

    def _name(self, photo: str) -> str:
        """Return a file name that no other photo of this command has."""
        stem, number = _stem(photo), 1
        name = f"{stem}{_NAME}"
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}{_NAME}"
        self._taken.add(name)
        return name


def _stem(photo: str) -> str:
    """Return what a photo is called, in characters that every file system takes."""
    if photo == STDIN:
        return "stdin"
    path = unquote(urlsplit(photo).path) if is_address(photo) else photo
    return re.sub(r"[^\w.-]+", "_", Path(path).stem).lstrip(".")[:_MAX_STEM] or "photo"
