"""Who may come in: so many requests at once, and so many bytes of their bodies, are held in memory."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from contract.inference import ErrorCode, InferenceError

# Twenty of the largest bodies at once. The bodies of a usual queue (128 photos of a phone, 3 MB each) fit, too.
BODIES_BYTES: Final = 536_870_912

# After so many seconds one of them has been answered.
_MOMENT: Final = 1


class Admission:
    """The places of one server; used from one event loop."""

    def __init__(self, requests: int, body_bytes: int = BODIES_BYTES) -> None:
        """Let ``requests`` in at once, with ``body_bytes`` in all."""
        self._requests = requests
        self._body_bytes = body_bytes
        self.taken = 0
        self.bytes_taken = 0

    def enter(self, declared_bytes: int = 0) -> "Place":
        """Return a place for a request whose body is to have ``declared_bytes``, of which nothing has been read.

        Raises:
            InferenceError: UNAVAILABLE, all places or all bytes are taken.
        """
        if self.taken >= self._requests:
            raise _full(f"{self.taken} requests are waiting already")
        place = Place(self)
        place.grow(declared_bytes)
        self.taken += 1
        return place

    def _grow(self, count: int) -> None:
        if self.bytes_taken + count > self._body_bytes:
            raise _full(f"{self.bytes_taken:,} bytes of photos are waiting already")
        self.bytes_taken += count


class Place(AbstractContextManager["Place"]):
    """One request's place, given back at the end of the ``with`` block however that comes."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bytes = 0

    def grow(self, size: int) -> None:
        """Make room for a body of ``size`` bytes in all, where it is larger than what was declared.

        Raises:
            InferenceError: UNAVAILABLE, all bytes are taken.
        """
        if size > self._bytes:
            self._admission._grow(size - self._bytes)
            self._bytes = size

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._admission.taken -= 1
        self._admission.bytes_taken -= self._bytes


def _full(message: str) -> InferenceError:
    return InferenceError(ErrorCode.UNAVAILABLE, f"{message}: try again", _MOMENT)
