"""Photos on the page: small, inside it, and never more of them than it can carry."""

import base64
import io
from pathlib import Path
from typing import Final

from PIL import Image

from training.progress import say
from vision.photos import PhotoError, read_photo

# Shown at half of it on a screen with twice the pixels. A photo is about 7 KB.
SIDE: Final = 200
_QUALITY: Final = 70
# As they stand in the page. 133 classes need about 1 MB; photos of noise, which no codec makes small, stop here.
BUDGET: Final = 3_500_000
# Photos as prepare.py leaves them have at most 512 pixels on the short side.
_MOST_PIXELS: Final = 16_000_000
_MOST_BYTES: Final = 20_000_000


class Thumbnails:
    """Makes data URIs of photos by their paths within a folder; remembers those that it has made."""

    def __init__(self, folder: Path | None, budget: int = BUDGET) -> None:
        self._folder = None if folder is None else folder.resolve()
        self._left = budget
        self._made: dict[str, str | None] = {}

    def of(self, photo: str) -> str | None:
        """Return the photo as a data URI; None where it cannot be read, or the page holds enough of them."""
        if photo not in self._made:
            self._made[photo] = self._make(photo)
        made = self._made[photo]
        if made is None or len(made) > self._left:
            return None
        self._left -= len(made)
        return made

    def _make(self, photo: str) -> str | None:
        if self._folder is None:
            return None
        try:
            path = (self._folder / photo).resolve()
            if not path.is_relative_to(self._folder):
                raise PhotoError("it lies outside the data set")
            if path.stat().st_size > _MOST_BYTES:
                raise PhotoError(f"more than {_MOST_BYTES:,} bytes")
            image = read_photo(path.read_bytes(), _MOST_PIXELS, SIDE).image
        except (PhotoError, OSError, ValueError) as error:  # a path with a null byte is a ValueError
            say(f"the report does without the photo {photo!r}: {error}")
            return None
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=_QUALITY)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
