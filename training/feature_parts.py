"""What an extraction has finished, on disk: whoever is killed goes on there, and memory holds one part at a time."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from training.features import SplitFeatures
from training.files import partial_file
from training.progress import say

FORMAT: Final = 1


@dataclass(frozen=True)
class Part:
    """The features of the photos from number ``start`` up to ``end`` (not included) of a split.

    ``numbers`` (n,) int64 are those of the photos that could be decoded, ``features`` (n, K, D) float16 theirs.
    """

    start: int
    end: int
    numbers: Tensor
    features: Tensor

    @property
    def left_out(self) -> list[int]:
        """The numbers of the photos that could not be decoded."""
        return sorted(set(range(self.start, self.end)) - set(self.numbers.tolist()))


class FeatureParts:
    """The parts of one extraction, told from another's by its identity.

    Args:
        directory: synchronised with S3 by SageMaker.
        identity: everything that must be the same for the parts to be continued from; plain JSON values.
        totals: how many photos each split has.
        log: where parts that cannot be used are reported.
    """

    def __init__(
        self,
        directory: Path,
        identity: Mapping[str, Any],
        totals: Mapping[str, int],
        log: Callable[[str], None] = say,
    ) -> None:
        text = json.dumps({"format": FORMAT, "totals": dict(totals), **identity}, sort_keys=True)
        self._directory = directory / f"features-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self._totals = totals
        self._log = log

    def of(self, split: str) -> Iterator[Part]:
        """Yield the split's parts in order, up to the first that is missing, damaged or no continuation."""
        index = end = 0
        while end < self._totals[split]:
            path = self._path(split, index)
            try:
                part = _read(path)
            except FileNotFoundError:
                return
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                self._log(f"{path.name} cannot be used, its photos are done again: {error}")
                return
            if part.start != end:  # left from before an earlier part was damaged
                return
            yield part
            index, end = index + 1, part.end

    def position(self, split: str) -> tuple[int, int]:
        """Return how many parts the split has and the number of the photo with which the next one begins."""
        index = end = 0
        for part in self.of(split):
            index, end = index + 1, part.end
        return index, end

    def add(self, split: str, index: int, part: Part) -> None:
        """Keep a part; it appears complete or not at all."""
        with partial_file(self._path(split, index)) as file:
            np.savez(
                file,
                span=np.array([part.start, part.end]),
                numbers=part.numbers.numpy(),
                features=part.features.numpy(),
            )

    def chunks(self, split: str, labels: Tensor) -> Iterator[SplitFeatures]:
        """Yield the split's features with their labels; ``labels`` (photos,) int64 are those of all its photos."""
        for part in self.of(split):
            yield SplitFeatures(part.features, labels[part.numbers])

    def remove(self) -> None:
        """Delete the parts, which have become features."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _path(self, split: str, index: int) -> Path:
        return self._directory / f"{split}-{index:05d}.npz"


def _read(path: Path) -> Part:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        start, end = arrays["span"].tolist()
        return Part(start, end, torch.from_numpy(arrays["numbers"]), torch.from_numpy(arrays["features"]))
