"""A transform job with the server that really travels in the artifact."""

import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from contract.classes import Classes
from contract.names import ArtifactFile
from contract.serving import Variable
from tests.local_cloud.sagemaker.stand_in import ROLE, Cloud, MemoryS3, Server, new_cloud
from tests.local_cloud.sagemaker.test_transform import ended, outputs, request
from vision.backbones import build_backbone
from vision.classifier import Classifier, load_artifact, save_artifact
from vision.decoding import decode

ROOT = Path(__file__).parents[3]


def make_artifact(folder: Path) -> Path:
    torch.manual_seed(1)
    backbone = build_backbone("efficientnet_lite0")
    classes = Classes(("001.Breed_ash", "002.Breed_bay", "003.Breed_coal"))
    save_artifact(folder, Classifier(backbone, nn.Linear(backbone.feature_dim, 3)), classes, {})
    for package in ("contract", "vision", "serving"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / ArtifactFile.CODE / package, ignore=without)
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return make_artifact(tmp_path / "artifact")


@pytest.fixture
def cloud(tmp_path: Path, s3: MemoryS3, artifact: Path) -> Iterator[Cloud]:
    (tmp_path / "bin").mkdir()
    serve = tmp_path / "bin" / "serve"
    serve.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n")
    with serve.open("a") as file:
        file.write("from container.serve import main\nmain()\n")
    serve.chmod(0o755)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(artifact, ".")
    s3.objects["bucket/model.tar.gz"] = packed.getvalue()
    made = new_cloud(tmp_path, s3, health_check_seconds=120)
    with Server(made):
        container = {
            "Image": "image:test",
            "ModelDataUrl": "s3://bucket/model.tar.gz",
            "Environment": {Variable.ENGINE.value: "eager"},  # no measuring of others: it is not what is tried here
        }
        made.sagemaker.create_model(ModelName="dogs", PrimaryContainer=container, ExecutionRoleArn=ROLE)
        yield made


@pytest.mark.slow
def test_photos_are_answered_as_training_evaluates_them(cloud: Cloud, artifact: Path, dogs: Path) -> None:
    photos = sorted(dogs.rglob("*.jpg"))[:3]
    for number, photo in enumerate(photos):
        cloud.s3.objects[f"bucket/in/{number}.jpg"] = photo.read_bytes()
    cloud.s3.objects["bucket/in/bad.jpg"] = b"no photo"
    cloud.sagemaker.create_transform_job(**request(MaxConcurrentTransforms=2))
    job = ended(cloud, seconds=150)
    assert job["FailureReason"].startswith("ClientError: s3://bucket/in/bad.jpg: the container answered 400"), (
        cloud.log_of("job")
    )
    found = outputs(cloud)
    assert sorted(found) == ["0.jpg.out", "1.jpg.out", "2.jpg.out"]
    model = load_artifact(artifact)
    for number, photo in enumerate(photos):
        probabilities = model.probabilities(decode(photo.read_bytes()))  # (classes,)
        best = json.loads(found[f"{number}.jpg.out"])["predictions"][0]
        assert best["label"] == model.classes.labels[int(probabilities.argmax())]
        assert best["probability"] == pytest.approx(float(probabilities.max()), abs=0.01)
