"""Validation photos that travel in the artifact, with what the trained network says of them.

An engine that computes in another way (other kernels, bfloat16, int8) is held against them before it serves.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vision.calibration import Calibration

Photos = NDArray[np.uint8]  # (N, 3, crop, crop), scaled, not normalised
Logits = NDArray[np.float32]  # (N, classes)

CHECK_PHOTOS: Final = 200
# The share of them that may be named otherwise than by the network as it was trained: one of 200.
MAX_CHANGED: Final = 0.005
# The share of them of which a probability may differ by more than MOVED: whether the model is sure hangs on these.
MAX_MOVED: Final = 0.02
MOVED: Final = 0.1


@dataclass(frozen=True)
class Agreement:
    """How answers differ from the network's.

    Attributes:
        top1_changed: the share of photos that are named otherwise.
        moved: the share of photos of which a probability differs by more than MOVED.
        largest_difference: the most that any probability differs.
    """

    top1_changed: float
    moved: float
    largest_difference: float

    @classmethod
    def of(cls, logits: Logits, reference: Logits, calibration: Calibration) -> "Agreement":
        """Compare logits (N, classes), all of them numbers."""
        probabilities = calibration.probabilities(torch.from_numpy(logits))  # (N, classes)
        expected = calibration.probabilities(torch.from_numpy(reference))  # (N, classes)
        changed = float(np.mean(logits.argmax(1) != reference.argmax(1)))
        differences = (probabilities - expected).abs().amax(dim=1)  # (N,)
        return cls(changed, float((differences > MOVED).float().mean()), float(differences.max()))

    @property
    def refusal(self) -> str | None:
        """Why whoever answers like this must not serve; None: it may."""
        if self.top1_changed > MAX_CHANGED:
            return f"it names {self.top1_changed:.1%} of the photos otherwise, at most {MAX_CHANGED:.1%} are allowed"
        if self.moved > MAX_MOVED:
            return f"a probability of {self.moved:.1%} of the photos moves by over {MOVED}, {MAX_MOVED:.0%} are allowed"
        return None


@dataclass(frozen=True)
class CheckPhotos:
    """Scaled photos (N, 3, crop, crop) uint8, their labels (N,) int64, and the network's logits (N, classes) float32.

    The logits are those of the network as it was trained: eager, in float32.
    """

    photos: Photos
    labels: NDArray[np.int64]
    logits: Logits

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        count = len(self.photos)
        if not (count and self.photos.ndim == 4 and len(self.labels) == count and len(self.logits) == count):
            shapes = self.photos.shape, self.labels.shape, self.logits.shape
            raise ValueError(f"photos, labels and logits of as many photos expected, got shapes {shapes}")

    def save(self, path: Path) -> None:
        """Write the file, by renaming."""
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb") as file:
            np.savez_compressed(file, photos=self.photos, labels=self.labels, logits=self.logits)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "CheckPhotos":
        """Read the file.

        Raises:
            FileNotFoundError: there is none, as in artifacts of before there were any.
            ValueError: it is damaged.
        """
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return cls(file["photos"], file["labels"], file["logits"])
        except (zipfile.BadZipFile, EOFError, KeyError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} is damaged: {error}") from error
