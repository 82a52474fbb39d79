"""A real small fine-tuning for a profiler to look at."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from training.activations import Activations, ActivationSource, CachedViews, SourceSettings, TrainedPart
from training.checkpoints import Checkpoints
from training.debugging import NO_DEBUGGER
from training.environment import StopSignal
from training.fine_tuning import FineTuner, FineTuning, Tools
from training.profiling.clocks import Clock, HostClock
from training.profiling.gpu import Gpu
from training.profiling.profile import Profile, Setting
from training.profiling.profiler import Profiler
from training.profiling.recording import RecordingProfiler
from training.profiling.trace import Trace
from training.world import BatchPlan
from vision.backbones import load_backbone
from vision.heads import Head

PHOTOS, BATCH, CLASSES = 96, 8, 3
STEPS = PHOTOS // BATCH


class Usual(NamedTuple):
    """An ordinary training: what its profiler saw, between how many seconds it took, and its folder."""

    profile: Profile
    at_least: float
    at_most: float
    folder: Path


def open_one(folder: Path, clock: Clock | None = None) -> RecordingProfiler:
    """Return a profiler whose process started when it was opened."""
    trace = Trace(folder / "trace.json.gz", torch.device("cpu"))
    return RecordingProfiler(clock or HostClock(), Gpu(), trace, Setting(2), time.time())


class Slowed:
    """A source whose batches with these numbers are late; ``sleep`` lets that time pass."""

    def __init__(
        self, source: ActivationSource, seconds: float, every: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._source, self._seconds, self._every, self._sleep = source, seconds, every, sleep
        self._count = 0

    def batches(self, epoch: int) -> Iterator[Activations]:
        for batch in self._source.batches(epoch):
            self._count += 1
            if self._count % self._every == 0:
                self._sleep(self._seconds)
            yield batch


Wrap = Callable[[ActivationSource], ActivationSource]


def fine_tune(folder: Path, profiler: Profiler, epochs: int = 2, wrap: Wrap = lambda source: source) -> None:
    """Fine-tune the last layers of a random EfficientNet-Lite0 on drawn activations."""
    part = TrainedPart(load_backbone("efficientnet_lite0", weights="none").backbone, "head")
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(PHOTOS) % CLASSES
    values = torch.randn(PHOTOS, 1, 320, 7, 7, generator=generator) + labels.view(-1, 1, 1, 1, 1)  # (N, 1, C, h, w)
    data, plan = Activations(values.half(), labels), BatchPlan(BATCH, BATCH)
    source = CachedViews(data, SourceSettings(plan, 0, 1, profiler=profiler), torch.device("cpu"))
    tuner = FineTuner(part, Head(1280, CLASSES), wrap(source), data, FineTuning(epochs, 1e-3, 1e-2, plan))
    tools = Tools(Checkpoints(folder, {}, lambda line: None), NO_DEBUGGER, StopSignal(), lambda row: None, profiler)
    tuner.run(tools, STEPS, 0)
