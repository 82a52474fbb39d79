"""Validation photos that travel in the artifact, with what the trained network says of them.

An engine that computes in another way (other kernels, bfloat16, int8) is held against them before it serves.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

# One photo of 200 is 0.5 %, the most that an engine may name otherwise.
CHECK_PHOTOS: Final = 200


@dataclass(frozen=True)
class CheckPhotos:
    """Scaled photos (N, 3, crop, crop) uint8, their labels (N,) int64, and the network's logits (N, classes) float32.

    The logits are those of the network as it was trained: eager, in float32.
    """

    photos: NDArray[np.uint8]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

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
