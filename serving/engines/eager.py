"""PyTorch as it is: runs everywhere, and is what the others are held against."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from serving.engines.base import Engine
from vision.check_photos import Logits, Photos
from vision.classifier import LoadedModel
from vision.network import ServedNetwork


class TorchEngine:
    """A function of tensors on one device, called with arrays."""

    def __init__(self, name: str, network: Callable[[Tensor], Tensor], device: torch.device) -> None:
        """Take what maps photos (N, 3, crop, crop) uint8 to logits (N, classes), both on ``device``."""
        self._name = name
        self._network = network
        self._device = device

    @property
    def name(self) -> str:
        """The name given."""
        return self._name

    @torch.inference_mode()
    def logits(self, photos: Photos) -> Logits:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes) float32."""
        logits = self._network(torch.from_numpy(photos).to(self._device))  # (N, classes)
        result: Logits = logits.float().cpu().numpy()
        return result


class EagerBuilder:
    """Makes the engine that can always be made, on the GPU where there is one."""

    kind = name = "eager"

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        """Return the network in float32 with batch norms folded; needs no files."""
        del directory, cache
        device = default_device()
        return TorchEngine(self.name, ServedNetwork(model).to(device), device)


def default_device() -> torch.device:
    """Return the GPU that this process sees first, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
