"""A photo's bytes to what the network sees of it, with the memory of all photos that are being decoded bounded."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from torch import Tensor

from contract.inference import MAX_PHOTO_PIXELS, MAX_UPLOAD_BYTES, ErrorCode, InferenceError
from vision.decoding import decode_opened
from vision.photos import PhotoError, TooManyPixelsError, open_photo, pixels_decoded
from vision.preprocessing import Preprocessing


class PixelBudget:
    """So many pixels may be decoded at the same time, by all threads together; who comes first is served first.

    What is larger than all of it is decoded alone. Small photos do not overtake a large one: it would never begin.
    """

    def __init__(self, pixels: int) -> None:
        """Start with nothing being decoded."""
        self._pixels: Final = pixels
        self._taken = 0
        self._waiting: deque[object] = deque()
        self._changed: Final = threading.Condition()

    @contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """Wait for so many pixels of the budget, and give them back at the end."""
        share, ticket = min(pixels, self._pixels), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._taken + share <= self._pixels)
                self._taken += share
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                self._changed.notify_all()


# One photo of the largest size at a time, or 85 of 12 megapixels as phones take them, which are decoded at a quarter.
_BUDGET: Final = PixelBudget(MAX_PHOTO_PIXELS)


def scaled(photo: bytes, preprocessing: Preprocessing, budget: PixelBudget = _BUDGET) -> Tensor:
    """Return what the network sees of a photo, (3, crop, crop) uint8; what the bytes are counts, whatever they claim.

    Waits while other threads decode as many pixels as memory is meant for.

    Raises:
        InferenceError: EMPTY_BODY, TOO_LARGE (bytes, or pixels as the header tells) or BAD_IMAGE.
    """
    if not photo:
        raise InferenceError(ErrorCode.EMPTY_BODY, "the photo is empty (0 bytes)")
    if len(photo) > MAX_UPLOAD_BYTES:
        raise InferenceError(
            ErrorCode.TOO_LARGE, f"the photo has {len(photo):,} bytes; at most {MAX_UPLOAD_BYTES:,} are allowed"
        )
    try:
        image = open_photo(photo)
        with budget.taking(pixels_decoded(image)):
            return preprocessing.scale(decode_opened(photo, image)).contiguous()  # (3, crop, crop)
    except TooManyPixelsError as error:
        raise InferenceError(ErrorCode.TOO_LARGE, str(error)) from error
    except PhotoError as error:
        raise InferenceError(ErrorCode.BAD_IMAGE, str(error)) from error
