"""A GPU's utilisation and memory through NVML; where there is no GPU or no NVML, nothing."""

import importlib
import logging
from dataclasses import dataclass
from typing import Any, Final

import torch

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class GpuReading:
    """Percent of the time in which a kernel ran, and bytes in use by all processes."""

    utilisation: float
    memory_bytes: int


class Gpu:
    """One GPU; this is the one that is not there."""

    memory_total_bytes: int | None = None

    def read(self) -> GpuReading | None:
        """Return its load now."""
        return None


class _NvmlGpu(Gpu):
    def __init__(self, nvml: Any, device: torch.device) -> None:
        nvml.nvmlInit()
        # By its UUID: CUDA numbers only the visible ones, NVML all.
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        self._nvml, self._handle = nvml, nvml.nvmlDeviceGetHandleByUUID(uuid)
        self.memory_total_bytes = int(nvml.nvmlDeviceGetMemoryInfo(self._handle).total)

    def read(self) -> GpuReading | None:
        try:
            busy = self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu
            return GpuReading(float(busy), int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used))
        except self._nvml.NVMLError as error:
            LOG.debug("NVML gives no reading: %s", error)
            return None


def open_gpu(device: torch.device) -> Gpu:
    """Return the GPU that the device is; the absent one on a CPU, or, with a line in the log, without NVML."""
    if device.type != "cuda":
        return Gpu()
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        LOG.warning("the GPU's load is not recorded: %s", error)
        return Gpu()
    try:
        return _NvmlGpu(nvml, device)
    except nvml.NVMLError as error:
        LOG.warning("the GPU's load is not recorded: NVML says %s", error)
        return Gpu()
