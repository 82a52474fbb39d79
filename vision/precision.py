"""The number format that a network computes in: one that the machine has instructions for, none that it emulates."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch

# Instructions that multiply bfloat16 (torch.cpu.get_capabilities). oneDNN also takes bfloat16 on any AVX-512 machine,
# and torch.cuda.is_bf16_supported says yes to a T4: both convert to float32 and back, and are slower than float32.
_CPU_BF16: Final = ("avx512_bf16", "amx_bf16")
# CUDA compute capabilities from which tensor cores take bfloat16 (Ampere) and float16 (Volta).
_GPU_BF16: Final = (8, 0)
_GPU_FP16: Final = (7, 0)


def native_precision(device: torch.device) -> torch.dtype:
    """Return the fastest format that ``device`` multiplies natively: bfloat16, float16 (GPU only) or float32.

    Arm's processors, whose bfloat16 was not measured, get float32.
    """
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= _GPU_BF16:
            return torch.bfloat16
        return torch.float16 if capability >= _GPU_FP16 else torch.float32
    if device.type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        capabilities = torch.cpu.get_capabilities()
        if any(capabilities.get(name, False) for name in _CPU_BF16):
            return torch.bfloat16
    return torch.float32


def computing_in(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Return a context in which networks on ``device`` compute in ``precision``; one for float32 changes nothing.

    Weights are cast once per context, so enter it around the loop, not around every batch.
    """
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)


def precision_name(precision: torch.dtype) -> str:
    """Return, for example, ``bfloat16``."""
    return str(precision).removeprefix("torch.")
