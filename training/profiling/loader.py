"""Times the loading of photos with other numbers of threads, so that advice about them is measured."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from training.photo_batches import Transform, photo_batches
from training.photo_set import LabelledPhoto, PhotoReader
from training.profiling.profile import LoaderTiming, Profile
from training.profiling.profiler import Phase
from training.profiling.waiting_rules import LEAST_SHARE

# 64 photos take 0.3 to 1 s per number of threads.
TIMED_PHOTOS: Final = 64


def with_loader_timed(
    photos: Sequence[LabelledPhoto], reader: PhotoReader, transform: Transform, profile: Profile
) -> Profile:
    """Return the profile with the loader's times, where the training waited so long that they matter.

    Args:
        photos: those that the training learned from.
        reader: decodes them.
        transform: augments them as the training did.
        profile: of the training, which has ended: nothing else computes now.
    """
    threads, cores = profile.setting.loader_threads, profile.setting.cores
    if threads is None or profile.share(Phase.WAIT) < LEAST_SHARE:
        return profile
    chosen = photos[:TIMED_PHOTOS]
    _seconds(chosen, reader, transform, threads)  # the files come from memory from now on, for all numbers alike
    others = {1, max(1, cores // 2), cores - 1, cores, 2 * cores} - {0}
    seconds = {count: _seconds(chosen, reader, transform, count) for count in sorted(others | {threads})}
    return replace(profile, loader=LoaderTiming(threads, seconds, len(chosen)))


def _seconds(photos: Sequence[LabelledPhoto], reader: PhotoReader, transform: Transform, threads: int) -> float:
    """Return the seconds per photo."""
    begun = time.perf_counter()
    loaded = sum(len(batch.labels) for batch in photo_batches(photos, reader, transform, 16, threads))
    return (time.perf_counter() - begun) / max(1, loaded)
