"""The jobs themselves in a container without network and credentials: real bundle, real launcher, channels only."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
COLOURS = {"Pug": (200, 160, 90), "Boxer": (90, 60, 200)}


def offline() -> list[str]:
    """Return the command that takes a process's network away, where this machine lets us."""
    command = ["unshare", "--map-root-user", "--net"]
    usable = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if usable else []


@dataclass
class Jobs:
    """Runs jobs one after the other, each in a base folder of its own."""

    folder: Path
    bundle: bytes

    def run(self, script: str, channels: dict[str, Path], **hyperparameters: str) -> Path:
        """Run a job to its end, which must be good; return what it left in its model folder."""
        base = self.folder / script
        config, data = base / "input" / "config", base / "input" / "data"
        config.mkdir(parents=True)
        for name, content in channels.items():
            shutil.copytree(content, data / name)
        (data / "code").mkdir(parents=True)
        (data / "code" / "0123abc.gz").write_bytes(self.bundle)
        program = {
            "sagemaker_program": f"training/{script}.py",
            "sagemaker_submit_directory": "/opt/ml/input/data/code",
        }
        (config / "hyperparameters.json").write_text(json.dumps(program | hyperparameters))
        (config / "inputdataconfig.json").write_text(json.dumps({name: {} for name in ("code", *channels)}))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [*offline(), sys.executable, "-m", "container.train"],
            cwd=ROOT,
            env={**environment, "SAGEMAKER_BASE_DIR": str(base), "TORCH_HOME": str(self.folder / "no-cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return base / "model"


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for package in ("contract", "vision", "training", "serving"):
            tar.add(ROOT / package, package, filter=lambda m: None if "__pycache__" in m.name else m)
    return Jobs(tmp_path, packed.getvalue())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of two classes, told apart by their colour."""
    folder = tmp_path / "photos"
    for first, (split, count) in enumerate({"train": 8, "valid": 4, "test": 4}.items()):
        for name, (red, green, blue) in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                photo = Image.new("RGB", (64, 48), (red - 20 * first, green, blue - 8 * number))
                photo.save(folder / split / name / f"{split}{number}.jpg")
    return folder


def test_photos_that_came_as_a_channel_are_prepared(jobs: Jobs, photos: Path) -> None:
    prepared = jobs.run("prepare", {"source": photos}, source="s3://photos/dogs", seed="1")
    manifest = json.loads((prepared / "manifest.json").read_text())
    assert manifest["source"] == "s3://photos/dogs"
    assert len(list(prepared.glob("train/*/*.jpg"))) == 16


def test_a_zip_that_came_as_a_channel_is_prepared(jobs: Jobs, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    with zipfile.ZipFile(tmp_path / "channel" / "dogs.zip", "w") as archive:
        for path in photos.rglob("*.jpg"):
            archive.write(path, path.relative_to(photos))
    prepared = jobs.run("prepare", {"source": tmp_path / "channel"}, source="s3://photos/dogs.zip")
    assert len(list(prepared.glob("train/*/*.jpg"))) == 16


@pytest.mark.slow
def test_every_job_runs_to_its_end(jobs: Jobs, photos: Path) -> None:
    prepared = jobs.run("prepare", {"source": photos}, source="s3://photos/dogs", seed="1")
    features = jobs.run("extract_features", {"prepared": prepared}, backbone="auto")
    jobs.run("hpo", {"features": features}, lr="0.01", epochs="5", **{"batch-size": "16"})
    model = jobs.run(
        "train_model",
        {"prepared": prepared, "features": features},
        lr="0.01",
        epochs="5",
        **{"batch-size": "16", "fine-tune-epochs": "1"},
    )
    assert (model / "weights.pt").is_file()
    assert json.loads((model / "model.json").read_text())["backbone"] == "efficientnet_lite0"


@pytest.mark.slow
def test_weights_that_came_as_a_channel_are_used(jobs: Jobs, photos: Path, tmp_path: Path) -> None:
    import torch
    from torchvision.models import resnet50

    (tmp_path / "weights").mkdir()
    torch.save(resnet50(weights=None).state_dict(), tmp_path / "weights" / "resnet50.pth")
    prepared = jobs.run("prepare", {"source": photos}, source="s3://photos/dogs", seed="1")
    channels = {"prepared": prepared, "weights": tmp_path / "weights"}
    features = jobs.run("extract_features", channels, backbone="resnet50")
    spec = json.loads((features / "features.json").read_text())
    assert spec["backbone"] == "resnet50"
    assert spec["weights_origin"].endswith("input/data/weights/resnet50.pth")
