"""A backbone made ready for reading only: folded, on its device, in the device's own precision, compiled if it pays."""

from contextlib import AbstractContextManager
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.progress import say
from vision.backbones import Backbone
from vision.folding import folded
from vision.precision import computing_in, native_precision

# From how many views on to compile: a judgement on noisy pairs, no measured break-even. With EfficientNet-Lite0 on 2
# cores that other programs shared, compiling took 27 s of CPU time and then saved 13 to 20 % of about 40 ms per view:
# 3,400 to 5,200 views would pay for it, and four times that leaves room for the doubt. ResNet50 was not measured
# compiled, nor was a GPU, where it is therefore off.
COMPILE_FROM: Final = {"cpu": 20_000}


class FrozenNetwork:
    """Maps views (N, 3, H, W) float32 on the CPU to features (N, D) on ``device``, in the precision it computes in.

    Args:
        backbone: stays as it is; its network is copied.
        batch_size: the size of all batches but the last.
        views: how many are going to be read.
        compile_from: from how many views on to compile; None: as measured for the device.
    """

    def __init__(self, backbone: Backbone, batch_size: int, views: int, compile_from: int | None = None) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = native_precision(self.device)
        self._network = folded(backbone.network).to(self.device)
        self._batch_size = batch_size
        self._compiled: nn.Module | None = None
        threshold = COMPILE_FROM.get(self.device.type) if compile_from is None else compile_from
        if threshold is not None and views >= threshold:
            self._compiled = self._compile(backbone.preprocessing.crop)

    @property
    def compiled(self) -> bool:
        """Whether full batches run compiled code."""
        return self._compiled is not None

    def reading(self) -> AbstractContextManager[object]:
        """Return the context around the loop over all batches: weights are cast once in it."""
        return computing_in(self.device, self.precision)

    @torch.inference_mode()
    def __call__(self, views: Tensor) -> Tensor:
        """Return the features of one batch; where there is a GPU, without waiting for it."""
        if self.device.type == "cuda":
            views = views.pin_memory().to(self.device, non_blocking=True)
        # The last batch is smaller: compiling for its shape would cost more than it.
        whole = len(views) == self._batch_size
        network = self._compiled if self._compiled is not None and whole else self._network
        features: Tensor = network(views.contiguous(memory_format=torch.channels_last))  # (N, D)
        return features

    def _compile(self, crop: int) -> nn.Module | None:
        """Return the compiled network, or None and a notice where this machine cannot compile (no C++ compiler)."""
        compiled: Any = torch.compile(self._network, dynamic=False)
        views = torch.zeros(self._batch_size, 3, crop, crop, device=self.device)
        try:
            with torch.inference_mode(), self.reading():
                compiled(views.contiguous(memory_format=torch.channels_last))
        except (RuntimeError, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            say(f"notice: the backbone is not compiled, which only costs time: {reason}")
            return None
        module: nn.Module = compiled
        return module
