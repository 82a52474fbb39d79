from pathlib import Path

import numpy as np
import pytest
import torch

from serving.engines.base import EngineUnavailableError
from serving.engines.cuda import GRAPH_SIZES, CudaBuilder
from tests.serving.engines.conftest import CROP, eager_logits
from vision.check_photos import Photos
from vision.classifier import LoadedModel


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_without_a_gpu_it_is_refused(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailableError, match="GPU"):
        CudaBuilder(precision).build(model, tmp_path, None)


@pytest.mark.parametrize(("capability", "precision"), [((6, 1), torch.float16), ((7, 5), torch.bfloat16)])
def test_a_format_that_the_tensor_cores_do_not_take_is_refused(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int],
    precision: torch.dtype,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "old GPU")
    with pytest.raises(EngineUnavailableError, match="old GPU"):
        CudaBuilder(precision).build(model, tmp_path, None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("count", [1, 3, GRAPH_SIZES[-1] + 1])
def test_logits_are_nearly_those_of_the_network_as_it_was_trained(
    model: LoadedModel, tmp_path: Path, count: int
) -> None:
    photos: Photos = np.random.default_rng(3).integers(0, 256, (count, 3, CROP, CROP), dtype=np.uint8)
    engine = CudaBuilder(torch.float16).build(model, tmp_path, None)
    np.testing.assert_allclose(engine.logits(photos), eager_logits(model, photos), atol=0.01)
