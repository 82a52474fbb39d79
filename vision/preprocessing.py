"""From a photo to the backbone's input; the spec travels with the weights, and serving applies what it reads."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from vision.pixels import Box, Interpolation, Picture, Pixels

_INTERPOLATIONS = get_args(Interpolation)


@dataclass(frozen=True)
class Preprocessing:
    """Shorter side to ``resize`` pixels, the central ``crop`` x ``crop`` of it, then (value - mean) / std per channel.

    ``mean`` and ``std`` are in units of 0 to 1, in the order red, green, blue.
    """

    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation

    def __post_init__(self) -> None:
        """Refuse a spec that cannot be applied."""
        if not 0 < self.crop <= self.resize:
            raise ValueError(f"0 < crop <= resize expected, got crop {self.crop}, resize {self.resize}")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(f"interpolation {self.interpolation!r}: one of {', '.join(_INTERPOLATIONS)} expected")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"three means and three positive deviations expected, got {self.mean}, {self.std}")

    def apply(self, photo: Picture) -> Tensor:
        """Return an RGB photo as the backbone's input: (3, crop, crop) float32."""
        return self.normalise(self.scale(photo))

    def scale(self, photo: Picture) -> Tensor:
        """Return what the backbone sees of an RGB photo, before ``normalise``: (3, crop, crop) uint8."""
        width, height = photo.size
        side = min(width, height) * self.crop / self.resize
        left, top = (width - side) / 2, (height - side) / 2
        return self._scale_box(photo, (left, top, left + side, top + side))

    def normalise(self, scaled: Tensor) -> Tensor:
        """Map scaled photos (..., 3, crop, crop) uint8 to the backbone's input, float32 of the same shape."""
        weight, bias = self.affine()
        return torch.empty(scaled.shape).copy_(scaled).mul_(weight).add_(bias)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Return weight and bias (3, 1, 1) float32 with which value * weight + bias normalises a value of 0 to 255."""
        return _normalisation(self.mean, self.std)

    def apply_to_box(self, photo: Picture, box: Box) -> Tensor:
        """Return the part ``box`` (left, top, right, bottom) of an RGB photo as (3, crop, crop) float32."""
        return self.normalise(self._scale_box(photo, box))

    def _scale_box(self, photo: Picture, box: Box) -> Tensor:
        pixels = photo if isinstance(photo, Pixels) else Pixels.of(photo)
        return pixels.scaled(box, self.crop, self.interpolation)  # (3, crop, crop) uint8

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preprocessing":
        """Return the spec of ``as_dict``."""
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

    def save(self, path: Path) -> None:
        """Write preprocessing.json."""
        path.write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Preprocessing":
        """Read preprocessing.json."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))


@lru_cache
def _normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return weight and bias (3, 1, 1) with which value * weight + bias is (value / 255 - mean) / std."""
    with torch.inference_mode(False):  # kept for every caller, also for one that trains
        means, deviations = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
        return 1 / (255 * deviations), -means / deviations
