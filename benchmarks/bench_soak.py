"""Whether the model server keeps up for half an hour: errors, and how its memory grows, at 80 % of its capacity.

Command:   make bench NAME=soak              (30 minutes and a few more)
           python -m benchmarks.bench_soak --minutes 2
Baseline:  the memory after the first fifth of the time, in which pools and caches fill: the median of the samples of a
           sixth of what is left.
Ours:      serving.server on ResNet50, as an endpoint is started, on loopback. Its capacity is measured first: 32
           clients, each sending a photo as soon as the last is answered, 30 s. Then photos come at 80 % of that, at
           random times (Poisson), whether it keeps up or not. Every 10 s the memory of all its processes is summed
           (shared memory counts for each).
Expected:  no request without a 200; memory_growth, the median of the last sixth over the baseline, below 1.02.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.record import report
from benchmarks.serving import load
from benchmarks.serving.artifact import DOGS, make_artifact, photos_in
from benchmarks.serving.exchanges import Load
from benchmarks.serving.servers import Running, ours, running

SHARE: Final = 0.8
EVERY_SECONDS: Final = 10.0
CAPACITY_SECONDS: Final = 30.0
CAPACITY_CLIENTS: Final = 32
# The part of the time that warms up.
WARM_UP: Final = 0.2
MEBIBYTE: Final = 2**20


@dataclass(frozen=True)
class Sample:
    """The memory of all processes of the server, in bytes, so many seconds after the load began."""

    seconds: float
    memory: int
    processes: int


def main() -> None:
    """Measure the capacity, load the server at a share of it, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--photos", type=Path, default=DOGS, help="a folder with test/, valid/ and train/")
    options = parser.parse_args()
    photos = options.photos / "test"
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary:
        scratch = Path(temporary)
        make_artifact(scratch, options.photos)
        with running(ours(scratch, options.engine), scratch, photos_in(photos)[0].read_bytes()) as server:
            capacity = loaded(server, photos, scratch, CAPACITY_SECONDS, "--clients", str(CAPACITY_CLIENTS))[
                0
            ].per_second
            rate = SHARE * capacity
            print(f"capacity {capacity:.1f} photos/s; {rate:.1f} photos/s for {options.minutes:g} minutes", flush=True)
            seen, samples = loaded(server, photos, scratch, 60 * options.minutes, "--rate", str(rate))
    failed = sum(seen.failures.values())
    notes = [
        f"capacity {capacity:.1f} photos/s, loaded with {rate:.1f} for {options.minutes:g} minutes",
        f"{len(seen.exchanges)} requests, {failed} not answered with 200 {seen.failures or ''}".rstrip(),
        f"p50 {seen.latency(0.5) * 1000:.0f} ms, p99 {seen.latency(0.99) * 1000:.0f} ms",
        f"memory at first {samples[0].memory / MEBIBYTE:.0f} MiB, at last {samples[-1].memory / MEBIBYTE:.0f} MiB, "
        f"{len(samples)} samples, {min(s.processes for s in samples)} to {max(s.processes for s in samples)} processes",
    ]
    ratios = {"memory_growth": [growth(samples)], "failed_share": [failed / len(seen.exchanges)]}
    report("soak", ratios, notes)


def loaded(server: Running, photos: Path, scratch: Path, seconds: float, *how: str) -> tuple[Load, list[Sample]]:
    """Load the server for so long; return what the client saw, and the samples taken meanwhile."""
    out = scratch / "load.json"
    client = load.start(server.port, photos, out, "--seconds", str(seconds), *how)
    begun, samples = time.monotonic(), []
    while client.poll() is None:
        samples.append(Sample(time.monotonic() - begun, server.memory(), len(server.tree)))
        time.sleep(min(EVERY_SECONDS, seconds / 6))
    return load.finish(client, out), samples


def growth(samples: list[Sample]) -> float:
    """Return the memory at the end over that after the warm-up, each the median of a sixth of what is left.

    Raises:
        ValueError: there are too few samples to tell.
    """
    steady = [sample.memory for sample in samples if sample.seconds >= WARM_UP * samples[-1].seconds]
    if len(steady) < 2:
        raise ValueError(f"{len(samples)} samples tell nothing of growth: load for longer")
    part = max(1, len(steady) // 6)
    return statistics.median(steady[-part:]) / statistics.median(steady[:part])


if __name__ == "__main__":
    main()
