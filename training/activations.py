"""Feeds the part of the backbone that is trained with what its frozen part says about augmented photos."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from PIL import Image
from torch import Tensor

from training.augmentation import augmented, photo_rng
from training.environment import JobInputError, StopSignal
from training.photo_batches import photo_batches
from training.photo_set import LabelledPhoto, PhotoReader
from vision.backbones import Backbone

# Above this the cached activations would crowd out everything else on a laptop or a small instance.
LARGEST_CACHE_BYTES: Final = 2 * 2**30
FORWARD_BATCH: Final = 16


class TrainedPart:
    """Where a backbone is cut: ``frozen`` stages run without gradients, ``trained`` ones are fine-tuned."""

    def __init__(self, backbone: Backbone, first_trained: str) -> None:
        names = [name for name, _ in backbone.stages]
        cut = names.index(first_trained)
        self.backbone = backbone
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
        with torch.no_grad():
            return self.backbone.run(photos, self.frozen)

    def run_trained(self, activations: Tensor) -> Tensor:
        """Map the frozen part's output (N, C, h, w) to features (N, D)."""
        return self.backbone.run(activations, self.trained)


@dataclass(frozen=True)
class Activations:
    """The frozen part's output for some photos and views, (N, C, h, w), and their labels (N,)."""

    values: Tensor
    labels: Tensor


class ActivationSource(Protocol):
    """The training set, once per epoch, in batches."""

    def batches(self, epoch: int) -> Iterator[Activations]:
        """Yield the whole training set in an order and with augmentation that depend on the seed and ``epoch`` only."""


@dataclass(frozen=True)
class SourceSettings:
    """How the training set is fed."""

    batch_size: int
    seed: int
    views: int  # cached per photo; 0: fresh ones in every epoch


class FreshViews:
    """Augments and runs the frozen part anew in every epoch: the right choice where a GPU outruns everything else."""

    def __init__(
        self, part: TrainedPart, photos: tuple[LabelledPhoto, ...], reader: PhotoReader, settings: SourceSettings
    ) -> None:
        self._part, self._photos, self._reader, self._settings = part, photos, reader, settings

    def batches(self, epoch: int) -> Iterator[Activations]:
        """Yield the training set."""
        order = _order(len(self._photos), self._settings.seed, epoch).tolist()
        shuffled = [self._photos[number] for number in order]
        preprocessing = self._part.backbone.preprocessing

        def view(number: int, image: Image.Image) -> Tensor:
            rng = photo_rng(self._settings.seed, epoch, order[number])
            return augmented(image, preprocessing, rng).unsqueeze(0)

        device = self._part.device
        for batch in photo_batches(shuffled, self._reader, view, self._settings.batch_size):
            yield Activations(self._part.run_frozen(batch.views[:, 0].to(device)), batch.labels.to(device))


class CachedViews:
    """Runs the frozen part once over a few views of each photo; each epoch shows the next view of every photo."""

    def __init__(self, cache: Activations, settings: SourceSettings, device: torch.device) -> None:
        self._cache, self._settings, self._device = cache, settings, device

    def batches(self, epoch: int) -> Iterator[Activations]:
        """Yield the training set."""
        photos, views = self._cache.values.shape[:2]
        view = (torch.arange(photos) + epoch) % views
        for chosen in torch.split(_order(photos, self._settings.seed, epoch), self._settings.batch_size):
            values = self._cache.values[chosen, view[chosen]].float()
            yield Activations(values.to(self._device), self._cache.labels[chosen].to(self._device))


def _order(photos: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(photos, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def run_frozen_over(
    part: TrainedPart, photos: tuple[LabelledPhoto, ...], reader: PhotoReader, views: int, seed: int, stop: StopSignal
) -> Activations:
    """Return the frozen part's output (N, views, C, h, w) float16 on the CPU: view 0 is what serving would see.

    Raises:
        JobInputError: not one of the photos can be decoded.
    """
    preprocessing = part.backbone.preprocessing

    def transform(number: int, image: Image.Image) -> Tensor:
        rng = photo_rng(seed, 0, number)
        more = [augmented(image, preprocessing, rng) for _ in range(views - 1)]
        return torch.stack([preprocessing.apply(image), *more])

    values, labels = [], []
    for batch in photo_batches(photos, reader, transform, max(1, FORWARD_BATCH // views)):
        stop.check()
        out = part.run_frozen(batch.views.flatten(0, 1).to(part.device))  # (N * V, C, h, w)
        values.append(out.to("cpu", torch.float16).reshape(*batch.views.shape[:2], *out.shape[1:]))
        labels.append(batch.labels)
    if not values:
        raise JobInputError(f"not one of {len(photos)} photos can be decoded, the first is {photos[0].path}")
    return Activations(torch.cat(values), torch.cat(labels))
