"""Batches of transformed photos, decoded ahead by threads while the network computes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import torch
from torch import Tensor

from training.environment import return_freed_memory
from training.photo_set import LabelledPhoto, PhotoReader
from training.pulse import PULSE
from training.workers import cores
from vision.pixels import Pixels

# Turns the photo with this number in the sequence into views (K, 3, crop, crop).
Transform = Callable[[int, Pixels], Tensor]
MOST_THREADS: Final = 16
# Each thread has a photo of its own. Where each also split its 224 x 224 pixels over all cores, as torch does unless
# told, they would wait for each other. The setting is a thread's own: the thread that asks keeps all its cores.
ONE_CORE: Final = 1
# Half a minute of a laptop's work or more: what this costs does not show.
_PHOTOS_BETWEEN_RETURNS: Final = 512
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
    photos: Iterable[LabelledPhoto],
    reader: PhotoReader,
    transform: Transform,
    batch_size: int,
    threads: int | None = None,
) -> Iterator[Batch]:
    """Yield the photos in their order; those that cannot be decoded are missing, and the batches full without them.

    ``threads`` decode them; None: as ``loader_threads`` says.
    """
    with closing(_loaded(enumerate(photos), reader, transform, batch_size, threads)) as loaded:
        found = (item for item in loaded if item is not None)
        while items := list(islice(found, batch_size)):
            yield _batch(items)


def photo_shares(
    photos: Sequence[LabelledPhoto],
    shares: Sequence[Sequence[int]],
    reader: PhotoReader,
    transform: Transform,
    threads: int | None = None,
) -> Iterator[tuple[Batch | None, list[int]]]:
    """Yield the photos of every share, in order, and their positions in it: what cannot be decoded leaves a gap.

    Args:
        photos: all of them.
        shares: numbers of photos; a share of which nothing is there comes as None.
        reader: decodes them.
        transform: is told a photo's number.
        threads: as for ``photo_batches``.
    """
    wanted = ((number, photos[number]) for share in shares for number in share)
    with closing(_loaded(wanted, reader, transform, max(map(len, shares), default=0), threads)) as loaded:
        for share in shares:
            items = list(islice(loaded, len(share)))
            found = [item for item in items if item is not None]
            yield _batch(found) if found else None, [at for at, item in enumerate(items) if item is not None]


def _loaded(
    photos: Iterable[tuple[int, LabelledPhoto]],
    reader: PhotoReader,
    transform: Transform,
    batch_size: int,
    threads: int | None,
) -> Generator[tuple[Tensor, int] | None, None, None]:
    """Yield views and label of each numbered photo, None where it cannot be decoded; a batch is decoded ahead.

    Threads, not the worker processes of torch's DataLoader: decoders and scaling release the interpreter lock, and
    threads need no fork beside running threads, no shared memory and no care when the job is killed.
    """
    threads = threads or loader_threads()

    def load(job: tuple[int, LabelledPhoto]) -> tuple[Tensor, int] | None:
        number, photo = job
        image = reader.read(photo)
        return None if image is None else (transform(number, image), photo.label)

    with (
        ThreadPoolExecutor(threads, "photos", torch.set_num_threads, (ONE_CORE,)) as pool,
        closing(in_order(pool, load, photos, batch_size + 2 * threads)) as loaded,
    ):
        for passed, item in enumerate(loaded, 1):
            yield item
            if passed % _PHOTOS_BETWEEN_RETURNS == 0:
                return_freed_memory()


def _batch(items: Sequence[tuple[Tensor, int]]) -> Batch:
    views, labels = zip(*items, strict=True)
    stacked = torch.stack(views)  # (N, K, 3, crop, crop)
    PULSE.beat()
    # What a GPU fetches from pinned memory need not be copied once more.
    return Batch(stacked.pin_memory() if torch.cuda.is_available() else stacked, torch.tensor(labels))


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int
) -> Generator[R, None, None]:
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
