"""Feeds the part of the backbone that is trained with what its frozen part says about augmented photos."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor

from training.augmentation import NO_CHANGES, PixelChanges, augmented, photo_rng
from training.environment import JobInputError, StopSignal
from training.mixing import Mixing, partners
from training.photo_batches import Batch, Transform, photo_batches, photo_shares
from training.photo_set import LabelledPhoto, PhotoReader
from training.precision import FP32, Precision
from training.profiling.profiler import NO_PROFILER, Phase, Profiler
from training.pulse import PULSE
from training.world import BatchPlan
from vision.backbones import Backbone
from vision.pixels import Picture
from vision.preprocessing import Preprocessing

# With all else (MEMORY_ON_CPU of trained_network.py) this leaves the job below 2 GiB.
LARGEST_CACHE_BYTES: Final = 768 * 2**20
FORWARD_BATCH: Final = 16


class TrainedPart:
    """Where a backbone is cut: ``frozen`` stages run without gradients, ``trained`` ones are fine-tuned.

    Raises:
        JobInputError: the backbone has no stage called ``first_trained``.
    """

    def __init__(self, backbone: Backbone, first_trained: str, precision: Precision = FP32) -> None:
        names = [name for name, modules in backbone.stages if any(True for m in modules for _ in m.parameters())]
        if first_trained not in names:
            raise JobInputError(
                f"{backbone.name} has no stage {first_trained!r} to train: one of {', '.join(names)} expected"
            )
        cut = [name for name, _ in backbone.stages].index(first_trained)
        self.backbone = backbone
        self.precision = precision
        self.frozen = backbone.stages[:cut]
        self.trained = backbone.stages[cut:]
        self.parameters = [
            parameter for _, modules in self.trained for module in modules for parameter in module.parameters()
        ]

    @property
    def device(self) -> torch.device:
        """Where the backbone's weights are."""
        return self.parameters[0].device

    def run_frozen(self, photos: Tensor) -> Tensor:
        """Map photos (N, 3, H, W) to the frozen part's output (N, C, h, w), without gradients."""
        with torch.no_grad(), self.precision.autocast():
            return self.backbone.run(photos, self.frozen)

    def run_trained(self, activations: Tensor) -> Tensor:
        """Map the frozen part's output (N, C, h, w) to features (N, D) float32."""
        PULSE.beat()
        with self.precision.autocast():
            return self.backbone.run(activations, self.trained).float()


@dataclass(frozen=True)
class Activations:
    """The frozen part's output for some photos (N, [views,] C, h, w) and their labels (N,).

    ``targets`` (N, classes) are there where photos were loaded: what is learned instead of the labels.
    """

    values: Tensor
    labels: Tensor
    targets: Tensor | None = None


class ActivationSource(Protocol):
    """The training set, once per epoch, in micro-batches."""

    def batches(self, epoch: int) -> Iterator[Activations]:
        """Yield this process's share of the training set, as many micro-batches as its plan says; some may be empty.

        Order and augmentation depend on the seed and ``epoch`` only.
        """


@dataclass(frozen=True)
class SourceSettings:
    """How the training set is fed; ``views`` cached per photo, 0: fresh ones in every epoch.

    ``threads`` decode the photos; None: as many as there are cores.
    """

    plan: BatchPlan
    seed: int
    views: int
    changes: PixelChanges = field(default=NO_CHANGES)
    mixing: Mixing | None = None
    threads: int | None = None
    profiler: Profiler = NO_PROFILER


class FreshViews:
    """Augments and runs the frozen part anew in every epoch: where a GPU outruns all else, or pixels are changed."""

    def __init__(
        self, part: TrainedPart, photos: Sequence[LabelledPhoto], reader: PhotoReader, settings: SourceSettings
    ) -> None:
        self._part, self._photos, self._reader, self._settings = part, photos, reader, settings

    def batches(self, epoch: int) -> Iterator[Activations]:
        """Yield the training set."""
        settings = self._settings
        shares = settings.plan.share(_order(len(self._photos), settings.seed, epoch))
        view = self.transform(epoch)
        crop = self._part.backbone.preprocessing.crop
        nothing = Batch(torch.empty(0, 1, 3, crop, crop), torch.empty(0, dtype=torch.int64))
        for index, (batch, positions) in enumerate(
            photo_shares(self._photos, shares, self._reader, view, settings.threads)
        ):
            step = index // settings.plan.accumulated
            rng = random.Random(f"{settings.seed}/{epoch}/mixing/{step}")  # the same for every part of the step's batch
            yield self._activations(batch or nothing, positions, rng)

    def transform(self, epoch: int) -> Transform:
        """Return what turns a photo, by its number in the training set, into a view of it (1, 3, crop, crop)."""
        settings, preprocessing = self._settings, self._part.backbone.preprocessing

        def view(number: int, image: Picture) -> Tensor:
            rng = photo_rng(settings.seed, epoch, number)
            return augmented(image, preprocessing, rng, settings.changes).unsqueeze(0)

        return view

    def _activations(self, batch: Batch, positions: list[int], rng: random.Random) -> Activations:
        """Blend photos where that is wanted, and run the frozen part over them."""
        device, mixing, profiler, targets = self._part.device, self._settings.mixing, self._settings.profiler, None
        with profiler.phase(Phase.COPY):
            photos, labels = batch.views[:, 0].to(device), batch.labels.to(device)
        if mixing is not None and positions:
            other = torch.tensor(partners(positions), device=device)  # (N,)
            photos, targets = mixing.mixed(photos, labels, other, rng)
        with profiler.phase(Phase.FORWARD):
            return Activations(self._part.run_frozen(photos), labels, targets)


class CachedViews:
    """Runs the frozen part once over a few views of each photo; each epoch shows the next view of every photo."""

    def __init__(self, cache: Activations, settings: SourceSettings, device: torch.device) -> None:
        self._cache, self._settings, self._device = cache, settings, device

    def batches(self, epoch: int) -> Iterator[Activations]:
        """Yield the training set."""
        photos, views = self._cache.values.shape[:2]
        view = (torch.arange(photos) + epoch) % views
        for share in self._settings.plan.share(_order(photos, self._settings.seed, epoch)):
            chosen = torch.tensor(share, dtype=torch.int64)
            values = self._cache.values[chosen, view[chosen]].float()
            labels = self._cache.labels[chosen]
            with self._settings.profiler.phase(Phase.COPY):
                batch = Activations(values.to(self._device), labels.to(self._device))
            yield batch


def _order(photos: int, seed: int, epoch: int) -> list[int]:
    order: list[int] = torch.randperm(
        photos, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    ).tolist()
    return order


def run_frozen_over(
    part: TrainedPart,
    photos: Sequence[LabelledPhoto],
    reader: PhotoReader,
    settings: SourceSettings,
    stop: StopSignal,
    preprocessing: Preprocessing | None = None,
) -> Activations:
    """Return the frozen part's output (N, views, C, h, w) float16 on the CPU: view 0 is what serving would see.

    Photos that cannot be decoded are missing; N may be 0.

    Args:
        part: the backbone, cut.
        photos: what to look at.
        reader: decodes them.
        settings: views and seed.
        stop: asked between two batches.
        preprocessing: where not the backbone's own.

    """
    spec = preprocessing or part.backbone.preprocessing
    views = settings.views

    def transform(number: int, image: Picture) -> Tensor:
        rng = photo_rng(settings.seed, 0, number)
        more = [augmented(image, spec, rng) for _ in range(views - 1)]
        return torch.stack([spec.apply(image), *more])

    one = part.run_frozen(torch.zeros(1, 3, spec.crop, spec.crop, device=part.device))  # (1, C, h, w)
    values = [torch.empty(0, views, *one.shape[1:], dtype=torch.float16)]
    labels = [torch.empty(0, dtype=torch.int64)]
    for batch in photo_batches(photos, reader, transform, max(1, FORWARD_BATCH // views), settings.threads):
        stop.check()
        out = part.run_frozen(batch.views.flatten(0, 1).to(part.device))  # (N * V, C, h, w)
        values.append(out.to("cpu", torch.float16).reshape(*batch.views.shape[:2], *out.shape[1:]))
        labels.append(batch.labels)
    return Activations(torch.cat(values), torch.cat(labels))
