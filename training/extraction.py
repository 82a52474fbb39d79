"""One pass of a frozen backbone over the photos, in parts that are kept as they are finished."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from training.augmentation import augmented, photo_rng
from training.environment import Interrupted, JobInputError, StopSignal
from training.feature_parts import FeatureParts, Part
from training.features import FeatureSpec, SplitFeatures
from training.frozen_network import FrozenNetwork
from training.photo_batches import photo_batches
from training.photo_set import PhotoReader, PhotoSet
from training.progress import say
from vision.backbones import AUTO, IMAGENET, LoadedBackbone
from vision.pixels import Picture
from vision.precision import precision_name
from vision.preprocessing import Preprocessing

# Views per forward pass. CPU: measured (docs/decisions), larger ones only cost memory. GPU: fills one; not measured.
BATCH_VIEWS: Final = {"cpu": 16, "cuda": 128}
# What a killed job loses at most: a minute of a laptop's work; 8 MB of ResNet50's features.
PART_VIEWS: Final = 2048
# The test set is not among them, so nothing can be tuned on it.
SPLITS: Final = ("train", "valid")


@dataclass(frozen=True)
class Request:
    """What to extract: the options of the job."""

    backbone: str = AUTO
    weights: str = IMAGENET
    weights_uri: str | None = None
    views: int = 1
    seed: int = 0
    compile_from: int | None = None


@dataclass(frozen=True)
class Views:
    """Turns photos into views (K, 3, crop, crop): the photo as serving would see it, then K - 1 crops of it.

    ``first`` is the number, within the split, of the photo at position 0: crops are drawn for a photo, not a position.
    """

    preprocessing: Preprocessing
    count: int
    seed: int
    first: int

    def __call__(self, position: int, image: Picture) -> Tensor:
        """Return the views of the photo at ``position``."""
        rng = photo_rng(self.seed, 0, self.first + position)
        more = [augmented(image, self.preprocessing, rng) for _ in range(self.count - 1)]
        return torch.stack([self.preprocessing.apply(image), *more])


class Extraction:
    """One pass over the photos, in parts."""

    def __init__(
        self, photos: PhotoSet, loaded: LoadedBackbone, checkpoints: Path, request: Request, stop: StopSignal
    ) -> None:
        self._photos, self._loaded, self._request, self._stop = photos, loaded, request, stop
        self._backbone, self._digest = loaded.backbone, loaded.backbone.digest()
        self._reader = PhotoReader(photos.directory)
        self._batch_views = BATCH_VIEWS["cuda" if torch.cuda.is_available() else "cpu"]
        self._network = FrozenNetwork(
            loaded.backbone,
            self._photos_per_batch("train") * request.views,
            len(photos.splits["train"]) * request.views,
            request.compile_from,
        )
        precision = precision_name(self._network.precision)
        compiled = ", compiled" if self._network.compiled else ""
        say(f"backbone {self._backbone.name} in {precision}{compiled}, weights: {loaded.origin}")
        totals = {split: len(photos.splits[split]) for split in SPLITS}
        self._parts = FeatureParts(checkpoints, self._identity(), totals)

    def run(self, split: str) -> None:
        """Bring the split's parts to its end.

        Raises:
            JobInputError: not one of its photos can be decoded.
            Interrupted: SIGTERM came; what was computed until then is kept.
        """
        index, start = self._parts.position(split)
        total = len(self._photos.splits[split])
        if start:
            say(f"{split}: resumed after {start:,} of {total:,} photos")
        pending: list[tuple[Tensor, Tensor]] = []  # features (n, K, D) on the device, numbers (n,)
        whole = max(1, PART_VIEWS // (self._photos_per_batch(split) * self._views(split)))
        try:
            with self._network.reading():
                for features, numbers in self._batches(split, start):
                    pending.append((features, numbers))
                    if len(pending) == whole:
                        start, index = self._keep(split, index, start, pending), index + 1
                    self._stop.check()
        except Interrupted:
            if pending:
                self._keep(split, index, start, pending)
            raise
        if start < total:
            self._keep(split, index, start, pending, total)
        if not any(len(part.numbers) for part in self._parts.of(split)):
            self._parts.remove()
            raise JobInputError(f"not one of the {total} photos in {self._photos.directory / split} can be decoded")

    def spec(self) -> FeatureSpec:
        """Return features.json of the finished parts."""
        photos, request, backbone = self._photos, self._request, self._backbone
        parts = {split: [(len(part.numbers), part.left_out) for part in self._parts.of(split)] for split in SPLITS}
        left_out = [
            str(photos.splits[split][number].path.relative_to(photos.directory))
            for split, found in parts.items()
            for _, numbers in found
            for number in numbers
        ]
        return FeatureSpec(
            classes=photos.classes.folders,
            fingerprint=photos.fingerprint,
            backbone=backbone.name,
            weights=request.weights,
            weights_origin=self._loaded.origin,
            weights_digest=self._digest,
            seed=request.seed,
            feature_dim=backbone.feature_dim,
            views=request.views,
            preprocessing=backbone.preprocessing.as_dict(),
            counts={split: sum(count for count, _ in found) for split, found in parts.items()},
            left_out=tuple(sorted(left_out)),
            notice=self._loaded.notice,
            precision=precision_name(self._network.precision),
        )

    def chunks(self, split: str) -> Iterator[SplitFeatures]:
        """Yield the split's finished features, one part at a time."""
        labels = torch.from_numpy(self._photos.splits[split].labels)  # (photos,)
        return self._parts.chunks(split, labels)

    def remove_parts(self) -> None:
        """Delete the parts, which have become features."""
        self._parts.remove()

    def _batches(self, split: str, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features (n, K, D) and numbers (n,) of the photos from number ``start`` on."""
        # The number in place of the label: it says which photos a batch holds where some cannot be decoded.
        photos = self._photos.splits[split]
        numbered = (replace(photo, label=number) for number, photo in enumerate(photos[start:], start))
        views = Views(self._backbone.preprocessing, self._views(split), self._request.seed, start)
        done, total = start, len(photos)
        for batch in photo_batches(numbered, self._reader, views, self._photos_per_batch(split)):
            features = self._network(batch.views.flatten(0, 1))  # (n * K, D)
            yield features.view(*batch.views.shape[:2], -1), batch.labels
            before, done = done, int(batch.labels[-1]) + 1
            if done * 10 // total > before * 10 // total:
                say(f"{split}: {done:,} of {total:,} photos")

    def _keep(
        self, split: str, index: int, start: int, pending: list[tuple[Tensor, Tensor]], end: int | None = None
    ) -> int:
        """Write a part of what is pending, empty it, and return where the next part begins."""
        empty = torch.empty(0, self._views(split), self._backbone.feature_dim, dtype=torch.float16)
        features = torch.cat([part for part, _ in pending]).to("cpu", torch.float16) if pending else empty
        numbers = torch.cat([part for _, part in pending]) if pending else torch.empty(0, dtype=torch.int64)
        pending.clear()
        end = int(numbers[-1]) + 1 if end is None else end
        self._parts.add(split, index, Part(start, end, numbers, features))
        return end

    def _views(self, split: str) -> int:
        """Return K: the validation set is looked at once, as serving would."""
        return self._request.views if split == "train" else 1

    def _photos_per_batch(self, split: str) -> int:
        return max(1, self._batch_views // self._views(split))

    def _identity(self) -> dict[str, object]:
        """Return all that must be the same for a part to be continued from."""
        return {
            "fingerprint": self._photos.fingerprint,
            "classes": list(self._photos.classes.folders),
            "weights_digest": self._digest,
            "preprocessing": self._backbone.preprocessing.as_dict(),
            "request": asdict(self._request),
            "precision": precision_name(self._network.precision),
            "compiled": self._network.compiled,
            "batch_views": self._batch_views,
        }
