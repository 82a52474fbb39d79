import json
from pathlib import Path

import pytest
import torch

from training import extract_features, frozen_network
from training.environment import JobInputError
from training.features import load_features
from vision.backbones import load_backbone
from vision.decoding import decode

OPTIONS = ["--backbone", "efficientnet_lite0", "--weights", "none"]


def extract(prepared: Path, model_dir: Path, *options: str) -> None:
    extract_features.main(["--prepared", str(prepared), "--model-dir", str(model_dir), *OPTIONS, *options])


@pytest.fixture(autouse=True)
def _keep_the_tests_own_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)


def test_the_first_view_is_what_serving_would_see(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen_network, "native_precision", lambda device: torch.float32)  # not bfloat16's digits
    extract(prepared, tmp_path / "out", "--views", "2", "--seed", "3")
    features = load_features(tmp_path / "out")
    assert features.train.features.shape == (16, 2, 1280)
    assert features.valid.features.shape == (6, 1, 1280)
    backbone = load_backbone("efficientnet_lite0", weights="none", seed=3).backbone
    first = decode((prepared / "train" / "001.Red_dog" / "0.jpg").read_bytes())
    with torch.inference_mode():
        expected = backbone(backbone.preprocessing.apply(first).unsqueeze(0))[0]
    assert torch.allclose(features.train.features[0, 0].float(), expected, atol=2e-3)
    assert not torch.equal(features.train.features[0, 0], features.train.features[0, 1])


def test_the_spec_says_where_the_features_come_from(prepared: Path, tmp_path: Path) -> None:
    extract(prepared, tmp_path / "out")
    spec = json.loads((tmp_path / "out" / "features.json").read_text())
    assert spec["classes"] == ["001.Red_dog", "002.Blue_dog"]
    assert (spec["backbone"], spec["weights"]) == ("efficientnet_lite0", "none")
    assert spec["counts"] == {"train": 16, "valid": 6}
    assert spec["fingerprint"] == "f" * 64
    assert spec["preprocessing"]["crop"] == 224


def test_a_photo_damaged_after_preparing_costs_only_itself(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (prepared / "train" / "001.Red_dog" / "0.jpg").write_bytes(b"broken")
    extract(prepared, tmp_path / "out")
    features = load_features(tmp_path / "out")
    assert len(features.train.labels) == 15
    assert features.spec.left_out == ("train/001.Red_dog/0.jpg",)
    assert "left out train/001.Red_dog/0.jpg" in capsys.readouterr().out


def test_a_split_without_a_single_readable_photo_is_an_error(prepared: Path, tmp_path: Path) -> None:
    for path in (prepared / "valid").rglob("*.jpg"):
        path.write_bytes(b"broken")
    with pytest.raises(JobInputError, match=r"not one of the 6 photos in .*valid can be decoded"):
        extract(prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_backbone_is_refused_with_the_known_ones(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        extract(prepared, tmp_path, "--backbone", "vgg16")
    assert "auto, resnet50, efficientnet_lite0" in capsys.readouterr().err.replace("'", "")


def test_an_empty_channel_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(JobInputError, match="holds no prepared photos"):
        extract(tmp_path / "empty", tmp_path / "out")
