"""What a training ran with: all that must be the same again for the same seed to give the same model bit for bit."""

import importlib.metadata
import platform
from typing import Any, Final

import torch

PACKAGES: Final = ("torch", "torchvision", "timm", "numpy", "pillow", "smdebug")
UNKNOWN_REVISION: Final = "unknown"


def surroundings() -> dict[str, Any]:
    """Return versions, platform, device and threads, as they stand in metrics.json."""
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "device": device_name(),
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Return the version of Python and of each package that has a part in the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def device_name() -> str:
    """Return the GPU's name, or the CPU's instruction set, by which torch chooses its kernels."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
