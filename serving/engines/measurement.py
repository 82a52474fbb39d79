"""How fast engines are here, told by a few interleaved calls."""

import time
from collections.abc import Mapping
from typing import Final

import numpy as np

from serving.engines.base import Engine
from vision.check_photos import Photos

# Other work on the machine only ever adds time, so the shortest call is what an engine can do. After so many seconds
# an engine has had its chance, whatever it could not show by then.
_SECONDS: Final = 1.5
# Of the most throughput; what comes on top would be paid by photos that wait for each other.
_ENOUGH: Final = 0.95

Rates = dict[int, float]  # photos at once -> photos per second


def measure(engines: Mapping[str, Engine], photos: Photos, sizes: tuple[int, ...]) -> dict[str, Rates]:
    """Return what each engine reaches with as many photos at once as ``sizes`` say, ascending, of ``photos``.

    Each has answered before, so that nobody pays for a first call. An engine that takes long is asked less often, at
    least once with the first size.
    """
    best: dict[str, Rates] = {name: {} for name in engines}
    spent = dict.fromkeys(engines, 0.0)
    pace = dict.fromkeys(engines, 0.0)  # seconds per photo at the last call
    running = True
    while running:
        running = False
        for size in sizes:
            batch = np.resize(photos, (size, *photos.shape[1:]))  # (size, 3, crop, crop), repeated where it must be
            for name, engine in engines.items():
                if spent[name] and spent[name] + pace[name] * size > _SECONDS:
                    continue
                seconds = _time(engine, batch)
                spent[name] += seconds
                pace[name] = seconds / size
                best[name][size] = max(best[name].get(size, 0.0), size / seconds)
                running = True
    return best


def _time(engine: Engine, batch: Photos) -> float:
    start = time.perf_counter()
    engine.logits(batch)
    return max(time.perf_counter() - start, 1e-9)


def score(rates: Rates) -> float:
    """Return what engines are compared by: the geometric mean of the rate of single photos and the best rate.

    With one client the first counts, with many the second.
    """
    first: float = rates[min(rates)]
    return float((first * max(rates.values())) ** 0.5)


def worthwhile_batch(rates: Rates) -> int:
    """Return how many photos at once are enough: with more the throughput hardly grows."""
    return min(size for size, rate in rates.items() if rate >= _ENOUGH * max(rates.values()))
