import shutil
from pathlib import Path

import numpy as np
import pytest

from serving.engines.base import EngineUnavailableError
from serving.engines.choice import builders_for
from serving.engines.compiled import CompiledBuilder
from tests.serving.engines.conftest import eager_logits
from vision.check_photos import Photos
from vision.classifier import LoadedModel


@pytest.mark.slow
def test_logits_are_those_of_the_network_as_it_was_trained(
    model: LoadedModel, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler is installed")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is as before after the test
    engine = CompiledBuilder().build(model, tmp_path, tmp_path)
    np.testing.assert_allclose(engine.logits(photos), eager_logits(model, photos), atol=0.05)
    assert (tmp_path / "inductor").is_dir()


def test_without_a_compiler_it_is_refused(model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(EngineUnavailableError, match="compiler"):
        CompiledBuilder().build(model, tmp_path, None)


def test_it_is_tried_only_where_it_is_asked_for() -> None:
    assert "compiled" not in [builder.kind for builder in builders_for("auto")]
    assert [builder.kind for builder in builders_for("compiled")] == ["compiled"]
