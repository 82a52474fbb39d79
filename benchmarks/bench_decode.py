"""Photos per second from the disk to the network's input, against the usual way of doing it.

Command:   make bench NAME=decode          (906 photos of about 500 px, 24 of 12 megapixels; two minutes on 2 cores)
Baseline:  torchvision.datasets.ImageFolder, which decodes with Pillow, with Resize(256), CenterCrop(224), ToTensor and
           Normalize, in as many threads as ours, decoding as far ahead.
Ours:      training.photo_batches with vision's decoding and preprocessing (256, then 224, bilinear like the baseline).
           Both leave normalised float32 batches.
Workers:   photos_500px_threads is ours against the same decoding in as many worker processes of torch's DataLoader,
           which are started before and kept: photos per second; above 1 the threads are faster.
Expected:  photos_500px 2, photos_12mp 3 or more. CPU seconds per photo stand in the notes: they do not depend on what
           else the machine does.
Photos:    --photos FOLDER with FOLDER/SPLIT/CLASS/*.jpg; those of 12 megapixels are the same ones enlarged, with a
           camera's noise, and written as JPEG of quality 88 (about 2 MB each).
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.record import report
from training.photo_batches import in_order, photo_batches
from training.photo_set import LabelledPhoto, PhotoReader
from training.workers import cores
from vision.decoding import decode
from vision.preprocessing import Preprocessing

DOGS = Path(__file__).parents[2] / "shared" / "data" / "dogs"
LARGE = (4000, 3000)
NOISE = 4.0  # standard deviation, of 255: a phone's, in daylight
SPEC = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear")
BATCH = 32


@dataclass(frozen=True)
class Speed:
    """Photos per second of wall clock, CPU seconds per photo."""

    photos_per_second: float
    cpu_seconds: float


def main() -> None:
    """Measure both sets in interleaved pairs and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    torch.set_num_threads(1)  # what stacks the batches: more threads would spin for work, on both sides alike
    parser.add_argument("--photos", type=Path, default=DOGS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--most", type=int, default=1000, help="photos of about 500 px")
    parser.add_argument("--large", type=int, default=24, help="photos of 12 megapixels")
    options = parser.parse_args()
    found = sorted(options.photos.glob("*/*/*.jpg"))
    if not found:
        parser.error(f"{options.photos} holds no SPLIT/CLASS/*.jpg: give --photos")
    ratios, notes = {}, [f"{cores()} cores and threads; {options.pairs} pairs; baseline first in every other pair"]
    with tempfile.TemporaryDirectory() as scratch:
        small = link_photos(found[:: -(-len(found) // options.most)], Path(scratch, "small"))
        large = enlarge_photos(found[:: -(-len(found) // options.large)], Path(scratch, "large"))
        for name, root in (("photos_500px", small), ("photos_12mp", large)):
            pairs = measure(root, options.pairs, baseline, ours)
            ratios[name] = [mine.photos_per_second / base.photos_per_second for base, mine in pairs]
            ratios[f"{name}_cpu"] = [base.cpu_seconds / mine.cpu_seconds for base, mine in pairs]
            for side, speeds in (("ImageFolder", [b for b, _ in pairs]), ("ours", [o for _, o in pairs])):
                wall = statistics.median(speed.photos_per_second for speed in speeds)
                cpu = statistics.median(speed.cpu_seconds for speed in speeds)
                notes.append(f"{name}, {side}: {wall:.0f} photos a second, {cpu * 1000:.2f} ms of CPU per photo")
        pairs = measure(small, options.pairs, workers(small), ours)
        ratios["photos_500px_threads"] = [mine.photos_per_second / base.photos_per_second for base, mine in pairs]
    report("decode", ratios, notes)


class Decoded(Dataset[Tensor]):
    """The photos as ours decodes them, for the workers of a DataLoader."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Tensor:
        return SPEC.apply(decode(self._paths[number].read_bytes()))  # (3, 224, 224)


def baseline(root: Path) -> Iterator[int]:
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    folder = ImageFolder(str(root), transforms.Compose([*steps, transforms.Normalize(SPEC.mean, SPEC.std)]))
    with ThreadPoolExecutor(cores(), "baseline", torch.set_num_threads, (1,)) as pool:
        loaded = in_order(pool, folder.__getitem__, range(len(folder)), BATCH + 2 * cores())
        while items := list(islice(loaded, BATCH)):
            yield len(torch.stack([view for view, _ in items]))


def ours(root: Path) -> Iterator[int]:
    photos = [LabelledPhoto(path, 0) for path in sorted(root.glob("*/*.jpg"))]
    for batch in photo_batches(photos, PhotoReader(root), lambda _, photo: SPEC.apply(photo).unsqueeze(0), BATCH):
        yield len(batch.labels)


def workers(root: Path) -> Callable[[Path], Iterator[int]]:
    """Return the loop over a DataLoader whose worker processes are started once."""
    paths = sorted(root.glob("*/*.jpg"))
    # Spawned: a fork beside running threads may deadlock.
    loader = DataLoader(
        Decoded(paths), BATCH, num_workers=cores(), multiprocessing_context="spawn", persistent_workers=True
    )
    return lambda _: (len(batch) for batch in loader)


def measure(
    root: Path, pairs: int, one: Callable[[Path], Iterator[int]], other: Callable[[Path], Iterator[int]]
) -> list[tuple[Speed, Speed]]:
    """Return the speeds of both, ``pairs`` times, after one round that warms both up."""
    expected = sum(1 for _ in root.glob("*/*.jpg"))
    timed(lambda: one(root), expected), timed(lambda: other(root), expected)
    measured = []
    for pair in range(pairs):
        if pair % 2:
            second, first = timed(lambda: other(root), expected), timed(lambda: one(root), expected)
        else:
            first, second = timed(lambda: one(root), expected), timed(lambda: other(root), expected)
        measured.append((first, second))
    return measured


def timed(run: Callable[[], Iterator[int]], expected: int) -> Speed:
    """Return how fast all photos pass."""
    wall, cpu = time.perf_counter(), time.process_time()
    seen = sum(run())
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    if seen != expected:
        raise RuntimeError(f"{seen} of {expected} photos came out")
    return Speed(seen / seconds, cpu_seconds / seen)


def link_photos(paths: Sequence[Path], root: Path) -> Path:
    """Return a folder ROOT/CLASS of the photos."""
    for number, path in enumerate(paths):
        (root / path.parent.name).mkdir(parents=True, exist_ok=True)
        (root / path.parent.name / f"{number:05}.jpg").symlink_to(path.resolve())
    return root


def enlarge_photos(paths: Sequence[Path], root: Path) -> Path:
    """Return a folder ROOT/all of the photos as a camera of 12 megapixels would leave them."""
    (root / "all").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number, path in enumerate(paths):
        with Image.open(io.BytesIO(path.read_bytes())) as photo:
            values = np.asarray(photo.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC), dtype=np.float32)
        noisy = values + rng.normal(0, NOISE, (*values.shape[:2], 1)).astype(np.float32)
        image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        image.save(root / "all" / f"{number:05}.jpg", quality=88)
    return root


if __name__ == "__main__":
    main()
