import pytest
import torch
from torch import nn

from vision.precision import computing_in, native_precision, precision_name

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def pretend(monkeypatch: pytest.MonkeyPatch, **capabilities: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", **capabilities})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_bfloat16_instructions_uses_them(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend(monkeypatch, **{name: True})
    assert native_precision(CPU) == torch.bfloat16


def test_a_processor_that_would_emulate_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, avx512_f=True, avx512_bw=True, avx512_dq=True, avx512_vl=True, avx512_bf16=False)
    assert native_precision(CPU) == torch.float32


def test_a_processor_that_says_nothing_of_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    assert native_precision(CPU) == torch.float32


def test_without_onednn_a_processor_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, amx_bf16=True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert native_precision(CPU) == torch.float32


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((9, 0), torch.bfloat16),
        ((8, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((7, 0), torch.float16),
        ((6, 1), torch.float32),
    ],
)
def test_a_gpu_uses_what_its_tensor_cores_take(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert native_precision(GPU) == expected


def test_other_devices_compute_in_float32() -> None:
    assert native_precision(torch.device("mps")) == torch.float32


def test_networks_compute_in_the_precision_of_the_context_only() -> None:
    network = nn.Linear(4, 2)
    with computing_in(CPU, torch.bfloat16):
        assert network(torch.ones(1, 4)).dtype == torch.bfloat16
    with computing_in(CPU, torch.float32):
        assert network(torch.ones(1, 4)).dtype == torch.float32


def test_a_precision_has_a_name() -> None:
    assert precision_name(torch.bfloat16) == "bfloat16"
