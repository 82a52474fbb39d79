"""Batches of transformed photos, decoded ahead by threads while the network computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import torch
from torch import Tensor

from training.photo_set import LabelledPhoto, PhotoReader
from training.pulse import PULSE
from training.workers import cores
from vision.pixels import Pixels

# Turns the photo with this position in the sequence into views (K, 3, crop, crop).
Transform = Callable[[int, Pixels], Tensor]
MOST_THREADS: Final = 16
# Each thread has a photo of its own. Where each also split its 224 x 224 pixels over all cores, as torch does unless
# told, they would wait for each other. The setting is a thread's own: the thread that asks keeps all its cores.
ONE_CORE: Final = 1
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Batch:
    """Views (N, K, 3, crop, crop) float32 and labels (N,) int64 of up to a batch of photos."""

    views: Tensor
    labels: Tensor


def loader_threads() -> int:
    """Return how many threads decode photos unless told otherwise: one per core, 16 at most."""
    return min(cores(), MOST_THREADS)


def photo_batches(
    photos: Sequence[LabelledPhoto],
    reader: PhotoReader,
    transform: Transform,
    batch_size: int,
    threads: int | None = None,
) -> Iterator[Batch]:
    """Yield the photos in their order; those that cannot be decoded are missing.

    ``threads`` decode them; None: as ``loader_threads`` says.

    Threads, not the worker processes of torch's DataLoader: decoders and scaling release the interpreter lock, and
    threads need no fork beside running threads, no shared memory and no care when the job is killed.
    """
    threads = threads or loader_threads()
    pinned = torch.cuda.is_available()  # what a GPU fetches from such memory need not be copied once more

    def load(job: tuple[int, LabelledPhoto]) -> tuple[Tensor, int] | None:
        number, photo = job
        image = reader.read(photo)
        return None if image is None else (transform(number, image), photo.label)

    with ThreadPoolExecutor(threads, "photos", torch.set_num_threads, (ONE_CORE,)) as pool:
        ahead = batch_size + 2 * threads
        loaded = (item for item in _in_order(pool, load, enumerate(photos), ahead) if item is not None)
        while items := list(islice(loaded, batch_size)):
            views, labels = zip(*items, strict=True)
            stacked = torch.stack(views)
            PULSE.beat()
            yield Batch(stacked.pin_memory() if pinned else stacked, torch.tensor(labels))


def _in_order(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """Yield ``function`` of each item, in order, with at most ``ahead`` items under way."""
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # the consumer may stop early, at SIGTERM for example
        for future in waiting:
            future.cancel()
