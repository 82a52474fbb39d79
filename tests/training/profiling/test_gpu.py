"""There is no GPU where these run: NVML is a stand-in of the same shape, and says what the real one would."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from training.profiling.gpu import GpuReading, open_gpu

CUDA = torch.device("cuda", 0)


class NvmlError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Any:
    stand_in = SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: {"GPU-1234": "handle"}[uuid],
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=73),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=5, total=16),
    )
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1234"))
    return stand_in


def test_a_cpu_has_no_gpu_to_read() -> None:
    assert open_gpu(torch.device("cpu")).read() is None


def test_the_gpu_of_the_training_is_read(nvml: Any) -> None:
    gpu = open_gpu(CUDA)
    assert (gpu.read(), gpu.memory_total_bytes) == (GpuReading(73.0, 5), 16)


def test_without_nvml_the_log_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert open_gpu(CUDA).read() is None
    assert "the GPU's load is not recorded" in caplog.text


def test_a_driver_that_refuses_is_no_reason_to_fail(nvml: Any, caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> None:
        raise NvmlError("Driver Not Loaded")

    nvml.nvmlInit = refuse
    assert open_gpu(CUDA).read() is None
    assert "Driver Not Loaded" in caplog.text


def test_a_reading_that_fails_once_is_left_out(nvml: Any) -> None:
    gpu = open_gpu(CUDA)

    def refuse(handle: str) -> None:
        raise NvmlError("Unknown Error")

    nvml.nvmlDeviceGetUtilizationRates = refuse
    assert gpu.read() is None
