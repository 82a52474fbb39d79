import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.names import ArtifactFile
from serving.engines.base import EngineUnavailableError
from serving.engines.openvino import IR_FILE, Int8Builder, OpenVinoBuilder
from tests.serving.engines.conftest import CROP, eager_logits
from vision.check_photos import Photos
from vision.classifier import LoadedModel
from vision.openvino_import import load_openvino
from vision.precision import native_precision

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_logits_are_those_of_the_network_as_it_was_trained_in_the_order_of_the_photos(
    model: LoadedModel, photos: Photos, tmp_path: Path, count: int
) -> None:
    engine = OpenVinoBuilder().build(model, tmp_path, None)
    assert engine.name == "openvino"
    np.testing.assert_allclose(engine.logits(photos[:count]), eager_logits(model, photos[:count]), atol=1e-4)


def test_an_answer_stays_as_it_is_when_the_next_is_asked_for(
    model: LoadedModel, photos: Photos, tmp_path: Path
) -> None:
    engine = OpenVinoBuilder().build(model, tmp_path, None)
    first = engine.logits(photos[:1])
    kept = first.copy()
    engine.logits(photos[1:2])
    engine.logits(photos[2:])
    np.testing.assert_array_equal(first, kept)


def test_photos_that_lie_scattered_in_memory_are_read_right(model: LoadedModel, photos: Photos, tmp_path: Path) -> None:
    engine = OpenVinoBuilder().build(model, tmp_path, None)
    scattered = photos[::-2].transpose(0, 1, 3, 2)
    np.testing.assert_allclose(engine.logits(scattered), eager_logits(model, scattered.copy()), atol=1e-4)


def test_a_second_start_converts_nothing(
    model: LoadedModel, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = OpenVinoBuilder().build(model, tmp_path, tmp_path).logits(photos)
    assert (tmp_path / IR_FILE).is_file()
    assert not list(tmp_path.glob("partial*"))
    monkeypatch.setattr("serving.engines.openvino._convert", None)
    after = OpenVinoBuilder().build(model, tmp_path, tmp_path).logits(photos)
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_network_that_cannot_be_kept_serves_all_the_same(
    model: LoadedModel, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_network: object, path: Path, **_: object) -> None:
        path.with_suffix(".bin").write_bytes(b"half of it")
        raise RuntimeError("basic_ios::clear: iostream error")  # what OpenVINO says of a full disk

    monkeypatch.setattr(load_openvino(), "save_model", full)
    engine = OpenVinoBuilder().build(model, tmp_path, tmp_path)
    np.testing.assert_allclose(engine.logits(photos), eager_logits(model, photos), atol=1e-4)
    assert not list(tmp_path.glob("*openvino.*"))


def test_bfloat16_is_refused_where_the_processor_emulates_it(model: LoadedModel, tmp_path: Path) -> None:
    if native_precision(torch.device("cpu")) == torch.bfloat16:
        pytest.skip("this processor multiplies bfloat16")
    with pytest.raises(EngineUnavailableError, match="bfloat16"):
        OpenVinoBuilder(torch.bfloat16).build(model, tmp_path, None)


def test_int8_needs_the_network_that_the_training_quantised(model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match=r"int8\.xml"):
        Int8Builder().build(model, tmp_path, None)


def test_int8_answers_with_the_network_in_the_artifact(model: LoadedModel, photos: Photos, tmp_path: Path) -> None:
    OpenVinoBuilder().build(model, tmp_path, tmp_path)
    for suffix in (".xml", ".bin"):
        (tmp_path / IR_FILE).with_suffix(suffix).rename((tmp_path / ArtifactFile.INT8).with_suffix(suffix))
    engine = Int8Builder().build(model, tmp_path, None)
    assert engine.name == "openvino-int8"
    np.testing.assert_allclose(engine.logits(photos), eager_logits(model, photos), atol=1e-4)


def test_int8_for_photos_of_another_size_is_refused(model: LoadedModel, tmp_path: Path) -> None:
    ov = load_openvino()
    given = ov.opset13.parameter([-1, 3, CROP + 1, CROP + 1], ov.Type.u8)
    ov.save_model(ov.Model([ov.opset13.relu(given)], [given]), tmp_path / ArtifactFile.INT8)
    with pytest.raises(EngineUnavailableError, match="expected"):
        Int8Builder().build(model, tmp_path, None)


def test_making_an_engine_reports_to_nobody() -> None:
    """In a process of its own: neither is the reporter loaded, nor is any host asked for."""
    program = """
import socket, sys
def no(*args, **kwargs): raise SystemExit(f"asked for {args}")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = no
import torch
from pathlib import Path
from serving.engines.openvino import OpenVinoEngine, _openvino
ov = _openvino()
given = ov.opset13.parameter([-1, 3, 4, 4], ov.Type.u8)
summed = ov.opset13.reduce_sum(ov.opset13.convert(given, "f32"), [2, 3])
OpenVinoEngine("openvino", ov.Model([summed], [given]), "f32", None)
ov.convert_model(torch.export.export(torch.nn.ReLU(), (torch.zeros(1),)))
print([name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name]])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("[]")
