"""What the validation set taught a model about its own probabilities; it travels with the model.

Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2): one number divides all
logits, so that 0.9 means right nine times in ten. The order of the labels stays as it is.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities, and from which one on an answer counts as sure.

    Attributes:
        temperature: what logits are divided by, above 0; 1 leaves them as they are.
        confident_from: the least probability of the best label at which the model is sure to know what is on the photo;
            None: it is not asked to say.
    """

    temperature: float = 1.0
    confident_from: float | None = None

    def __post_init__(self) -> None:
        """Refuse what would make no probabilities."""
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"temperature {self.temperature}: a number above 0 expected")
        if self.confident_from is not None and not 0 <= self.confident_from <= 1:
            raise ValueError(f"confident_from {self.confident_from}: a number from 0 to 1 expected")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Map logits (..., classes) to probabilities (..., classes) that sum to 1 over the classes."""
        return torch.softmax(logits.float() / self.temperature, dim=-1)

    def confident(self, probabilities: Tensor) -> bool | None:
        """Return whether the best of the probabilities (classes,) of one photo is high enough; None: not asked."""
        return None if self.confident_from is None else float(probabilities.max()) >= self.confident_from

    def as_dict(self) -> dict[str, float | None]:
        """Return it as it stands in model.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any] | None) -> "Calibration":
        """Read what ``as_dict`` wrote; None, as in artifacts of before there was any, is no calibration.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        if given is None:
            return UNCALIBRATED
        threshold = given["confident_from"]
        return cls(float(given["temperature"]), None if threshold is None else float(threshold))


UNCALIBRATED: Final = Calibration()
