"""Feature extraction: photos per second against fp32 in the default memory layout, eager, batch norms and all.

Command:   make bench NAME=features        (five pairs of 192 photos and of 96 with 4 views, 15 minutes on 2 cores)
           python -m benchmarks.bench_features --prepared build/prepared --backbone resnet50 --photos 2000 --pairs 5
           python -m benchmarks.bench_features --compile-from 1     (compiled; compiling itself is not in the figure)
Baseline:  the same photos through the same loader and backbone in float32, NCHW, eager; in the same run, interleaved.
           Both keep freed memory (training/environment.py), so that the ratio shows neither page faults nor decoding
           twice. On a GPU both wait for it once, at their end.
Expected:  EfficientNet-Lite0 on 2 cores without bfloat16: cpu_k1 and cpu_k4 above 1.2; more with bfloat16 or a GPU.
Prints, besides: photos per second of both, and the peak memory of one whole job in a process of its own.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from benchmarks.record import report
from training.environment import keep_freed_memory
from training.extraction import BATCH_VIEWS, Views
from training.frozen_network import FrozenNetwork
from training.photo_batches import photo_batches
from training.photo_set import LabelledPhoto, PhotoReader, open_photo_set
from vision.backbones import BACKBONES, IMAGENET, NO_WEIGHTS, Backbone, load_backbone
from vision.precision import precision_name

DEVICE: Final = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Eager:
    """The baseline: float32, NCHW, one operation after the other."""

    def __init__(self, backbone: Backbone) -> None:
        self._network: nn.Module = backbone.network.to(DEVICE).to(memory_format=torch.contiguous_format)

    @torch.inference_mode()
    def __call__(self, views: Tensor) -> Tensor:
        """Return the features (N, D) of views (N, 3, H, W)."""
        features: Tensor = self._network(views.to(DEVICE))
        return features

    def reading(self) -> AbstractContextManager[object]:
        """Return a context that changes nothing."""
        return nullcontext()


@dataclass(frozen=True)
class Pass:
    """CPU and wall seconds of one pass over the photos."""

    cpu: float
    wall: float


def main() -> None:
    """Measure pairs with one view and with several, report, and run one job for its memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, help="what prepare.py left (default: the toy photos, drawn now)")
    parser.add_argument("--backbone", choices=BACKBONES, default="efficientnet_lite0")
    parser.add_argument("--weights", choices=(IMAGENET, NO_WEIGHTS), default=IMAGENET)
    parser.add_argument("--photos", type=int, default=192)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--compile-from", type=int, default=None)
    options = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        prepared = options.prepared or draw_toy_photos(Path(folder) / "prepared")
        photos = open_photo_set(prepared).splits["train"][: options.photos]
        ratios: dict[str, list[float]] = {}
        notes = [f"{len(photos)} photos, {options.backbone}, {device_name()}"]
        for views, count in ((1, len(photos)), (4, max(1, len(photos) // 2))):
            pairs, note = measure(photos[:count], prepared, views, options)
            key = f"{DEVICE.type}_k{views}"
            ratios[key] = [
                eager.cpu / ours.cpu if DEVICE.type == "cpu" else eager.wall / ours.wall for eager, ours in pairs
            ]
            ratios[f"{key}_wall"] = [eager.wall / ours.wall for eager, ours in pairs]
            notes.append(note)
        notes.append(whole_job(prepared, Path(folder), options))
    report("features", ratios, notes)


def draw_toy_photos(place: Path) -> Path:
    """Return the toy set, prepared."""
    command = [sys.executable, "-m", "training.prepare", "--source", "toy", "--model-dir", str(place)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return place


def measure(
    photos: Sequence[LabelledPhoto], prepared: Path, views: int, options: argparse.Namespace
) -> tuple[list[tuple[Pass, Pass]], str]:
    """Return (baseline, ours) per pair, in turns of who is first, and both rates in photos per second."""
    loaded = load_backbone(options.backbone, weights=options.weights)
    per_batch = max(1, BATCH_VIEWS[DEVICE.type] // views)
    ours = FrozenNetwork(loaded.backbone, per_batch * views, len(photos) * views, options.compile_from)
    eager = Eager(load_backbone(options.backbone, weights=options.weights).backbone)
    look = Views(loaded.backbone.preprocessing, views, 0, 0)

    def run(network: Eager | FrozenNetwork, chosen: Sequence[LabelledPhoto]) -> Pass:
        cpu, wall = time.process_time(), time.perf_counter()
        with network.reading():
            kept = [
                network(batch.views.flatten(0, 1))
                for batch in photo_batches(chosen, PhotoReader(prepared), look, per_batch)
            ]
        torch.cat(kept).float().cpu()  # waits for a GPU
        return Pass(time.process_time() - cpu, time.perf_counter() - wall)

    for network in (eager, ours):  # nothing is done for the first time in a measured pass
        run(network, photos[: 2 * per_batch])
    pairs = []
    for pair in range(options.pairs):
        first, second = (eager, ours) if pair % 2 == 0 else (ours, eager)
        one, two = run(first, photos), run(second, photos)
        pairs.append((one, two) if first is eager else (two, one))
    rates = [sorted(len(photos) / side.wall for side in sides)[len(pairs) // 2] for sides in zip(*pairs, strict=True)]
    how = precision_name(ours.precision) + (", compiled" if ours.compiled else "")
    return pairs, f"K = {views}: {rates[0]:.1f} photos per second fp32 NCHW eager, {rates[1]:.1f} ours ({how})"


def whole_job(prepared: Path, folder: Path, options: argparse.Namespace) -> str:
    """Run the job on all photos with 4 views in a process of its own; return its peak memory and photos per second."""
    command = [sys.executable, "-m", "training.extract_features", "--prepared", str(prepared), "--views", "4"]
    command += ["--model-dir", str(folder / "features"), "--backbone", options.backbone, "--weights", options.weights]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    # The largest child so far: this job, or the drawing of the toy photos, so never too little.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    count = sum(len(open_photo_set(prepared).splits[split]) for split in ("train", "valid"))
    return f"the whole job, K = 4: {count} photos in {seconds:.0f} s, peak memory {peak:.2f} GiB (to be under 2 GiB)"


def device_name() -> str:
    """Return what computes."""
    if DEVICE.type == "cuda":
        return torch.cuda.get_device_name()
    return f"{os.cpu_count()} cores"


if __name__ == "__main__":
    main()
