"""PyTorch's compiler with the weights frozen into the code, in bfloat16 where the processor multiplies it."""

import os
import shutil
from pathlib import Path

import numpy as np
import torch

from serving.engines.base import Engine, EngineUnavailableError
from serving.engines.eager import TorchEngine, default_device
from vision.check_photos import Logits, Photos
from vision.classifier import LoadedModel
from vision.network import ServedNetwork
from vision.precision import native_precision

# Where the compiler looks for, and leaves, what it made.
_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


class CompiledEngine(TorchEngine):
    """One photo after the other through code for one photo: each other count would be compiled for a minute more."""

    def logits(self, photos: Photos) -> Logits:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes) float32."""
        one = super().logits
        return np.concatenate([one(photos[i : i + 1]) for i in range(len(photos))])


class CompiledBuilder:
    """Makes the engine where a C++ compiler is installed; its first answer takes as long as compiling does."""

    kind = name = "compiled"

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        """Return the engine; compiled code is kept in ``cache``.

        Raises:
            EngineUnavailableError: there is no C++ compiler.
        """
        del directory
        if not (os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")):
            raise EngineUnavailableError("no C++ compiler is installed")
        if cache is not None:
            os.environ[_CACHE_VARIABLE] = str(cache / "inductor")
        device = default_device()
        network = ServedNetwork(model).to(device, native_precision(device))
        compiled = torch.compile(network, dynamic=False, options={"freezing": True})
        return CompiledEngine(self.name, compiled, device)
