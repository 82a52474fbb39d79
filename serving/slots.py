"""Places for scaled photos in memory that the front and the model processes share.

The front writes a photo into a slot, a model process reads it there: no photo is copied through a pipe. A slot goes to
the next photo only when nobody holds it any more: neither who asked, nor the thread that decodes into it, nor the batch
that is being read. So nobody gets the answer to another one's photo, whoever gives up and whenever.
"""

import asyncio
import mmap
import os
import tempfile
from collections import deque
from types import TracebackType

import numpy as np
from numpy.typing import NDArray


def memory_size(count: int, crop: int) -> int:
    """Return the bytes of ``count`` photos of ``crop`` x ``crop`` pixels."""
    return count * 3 * crop * crop


def map_photos(file: int, count: int, crop: int) -> NDArray[np.uint8]:
    """Return the photos (count, 3, crop, crop) in the shared file, which the array keeps mapped."""
    memory = mmap.mmap(file, memory_size(count, crop))
    return np.frombuffer(memory, np.uint8).reshape(count, 3, crop, crop)


class Slot:
    """The place of one photo. Whoever uses it holds it; used as a context manager, it is dropped at the end."""

    def __init__(self, slots: "Slots", index: int) -> None:
        self._slots = slots
        self._holders = 1
        self.index = index

    @property
    def photo(self) -> NDArray[np.uint8]:
        """The photo's memory: (3, crop, crop)."""
        photo: NDArray[np.uint8] = self._slots.photos[self.index]
        return photo

    def hold(self) -> None:
        """Be one more who uses the slot."""
        assert self._holders > 0, "nobody holds this slot any more"
        self._holders += 1

    def drop(self) -> None:
        """Use it no longer; the last one leaves it to the next photo. On the event loop only."""
        assert self._holders > 0, "dropped more often than held"
        self._holders -= 1
        if self._holders == 0:
            self._slots._free_again(self.index)

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.drop()


class Slots:
    """A fixed number of slots, given out in the order in which they were asked for.

    The memory has no name anywhere, so nothing is left of it when the last process that maps it has ended, however.
    """

    def __init__(self, count: int, crop: int) -> None:
        """Make room for ``count`` photos of ``crop`` x ``crop`` pixels."""
        self.count = count
        self.crop = crop
        self.file = _nameless_file()
        os.ftruncate(self.file, memory_size(count, crop))  # takes memory only once it is written to
        self.photos = map_photos(self.file, count, crop)  # (count, 3, crop, crop)
        self._free = deque(range(count))
        self._waiting: deque[asyncio.Future[int]] = deque()

    @property
    def free(self) -> int:
        """How many slots nobody holds."""
        return len(self._free)

    async def acquire(self) -> Slot:
        """Return a free slot, held once; wait for one where there is none."""
        if self._free:
            return Slot(self, self._free.popleft())
        given: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        try:
            return Slot(self, await given)
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():  # it was given in the same moment
                self._free_again(given.result())
            elif given in self._waiting:
                self._waiting.remove(given)
            raise

    def _free_again(self, index: int) -> None:
        while self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(index)
                return
        self._free.append(index)

    def close(self) -> None:
        """Give the file back; the memory goes with the last array that maps it."""
        os.close(self.file)


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):  # Linux; bound by no limit of /dev/shm, which containers keep small
        return os.memfd_create("photos")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
