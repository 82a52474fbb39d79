"""Batches of transformed photos, decoded ahead by threads while the network computes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import torch
from PIL import Image
from torch import Tensor

from training.photo_set import LabelledPhoto, PhotoReader

# Turns the photo with this position in the sequence into views (K, 3, crop, crop).
Transform = Callable[[int, Image.Image], Tensor]
MOST_THREADS: Final = 16
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Batch:
    """Views (N, K, 3, crop, crop) float32 and labels (N,) int64 of up to a batch of photos."""

    views: Tensor
    labels: Tensor


def photo_batches(
    photos: Sequence[LabelledPhoto], reader: PhotoReader, transform: Transform, batch_size: int
) -> Iterator[Batch]:
    """Yield the photos in their order; those that cannot be decoded are missing.

    Threads, not the worker processes of torch's DataLoader: Pillow releases the interpreter lock while it decodes and
    scales, and threads need no fork beside running threads, no shared memory and no care when the job is killed.
    """
    threads = min(os.cpu_count() or 1, MOST_THREADS)

    def load(job: tuple[int, LabelledPhoto]) -> tuple[Tensor, int] | None:
        number, photo = job
        image = reader.read(photo)
        return None if image is None else (transform(number, image), photo.label)

    with ThreadPoolExecutor(threads, thread_name_prefix="photos") as pool:
        ahead = batch_size + 2 * threads
        loaded = (item for item in _in_order(pool, load, enumerate(photos), ahead) if item is not None)
        while items := list(islice(loaded, batch_size)):
            views, labels = zip(*items, strict=True)
            yield Batch(torch.stack(views), torch.tensor(labels))


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
