import pytest
import torch

from training.precision import choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [torch.float32, torch.bfloat16])
def test_auto_is_what_the_machine_multiplies_natively(monkeypatch: pytest.MonkeyPatch, native: torch.dtype) -> None:
    monkeypatch.setattr("training.precision.native_precision", lambda device: native)
    chosen = choose_precision("auto", CPU)
    assert (chosen.dtype, chosen.native) == (native, True)


@pytest.mark.parametrize(("request_", "native"), [("fp32", True), ("bf16", False), ("fp16", False)])
def test_what_was_asked_for_is_used_and_told_from_what_is_native(
    monkeypatch: pytest.MonkeyPatch, request_: str, native: bool
) -> None:
    monkeypatch.setattr("training.precision.native_precision", lambda device: torch.float32)
    assert choose_precision(request_, CPU).native is native


def test_only_fp16_scales_its_gradients() -> None:
    scaled = {request: choose_precision(request, CPU).scaler().is_enabled() for request in ("fp32", "bf16", "fp16")}
    assert scaled == {"fp32": False, "bf16": False, "fp16": True}
