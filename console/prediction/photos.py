"""The photos that `pedigree predict` is given: files, addresses, standard input."""

import re
import sys
from pathlib import Path
from typing import Final

from console.prediction.download import download
from console.prediction.failure import Cause, PhotoError, too_large
from console.screen import Screen
from contract.inference import MAX_UPLOAD_BYTES

STDIN: Final = "-"
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_address(name: str) -> bool:
    """Whether a photo is given by its address."""
    return _ADDRESS.match(name) is not None


def read_photo(name: str, screen: Screen) -> bytes:
    """Return a photo's content, whatever it is.

    Raises:
        PhotoError: there is none, or it is larger than what the API takes.
    """
    if name == STDIN:
        content = sys.stdin.buffer.read(MAX_UPLOAD_BYTES + 1)
    elif is_address(name):
        with screen.waiting(f"Fetching {name}"):
            content = download(name)
    else:
        try:
            with Path(name).open("rb") as file:
                content = file.read(MAX_UPLOAD_BYTES + 1)
        except OSError as error:
            raise PhotoError(Cause.UNREADABLE, f"{error.strerror}.") from error
    if len(content) > MAX_UPLOAD_BYTES:
        raise too_large()
    return content
