"""Mixed precision for training: the number format of the layers that gain from it, and what fp16 needs besides."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import torch

from vision.precision import computing_in, native_precision

_DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """A number format on a device; weights, their gradients and the loss stay float32.

    ``native`` says whether the device multiplies in it, or is slower than with float32.
    """

    dtype: torch.dtype
    device: torch.device
    native: bool = True

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which a network computes in this format."""
        return computing_in(self.device, self.dtype)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what keeps small gradients from vanishing in fp16; for other formats it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)


FP32: Final = Precision(torch.float32, torch.device("cpu"))


def choose_precision(request: str, device: torch.device) -> Precision:
    """Return the precision that was asked for; for ``auto`` the fastest one that ``device`` multiplies natively.

    Args:
        request: auto, fp32, bf16 or fp16.
        device: what the network runs on.
    """
    native = native_precision(device)
    dtype = native if request == "auto" else _DTYPES[request]
    # Whatever multiplies bf16 on a GPU multiplies fp16, too.
    also_fp16 = dtype == torch.float16 and device.type == "cuda" and native != torch.float32
    return Precision(dtype, device, dtype in (native, torch.float32) or also_fp16)
