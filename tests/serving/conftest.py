"""One small artifact with random weights, and one real server on it for all tests that speak HTTP."""

import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn

from contract.classes import Classes
from contract.names import ArtifactFile
from contract.serving import Variable
from serving.inference import Model, model_fn
from vision.backbones import build_backbone
from vision.classifier import Classifier, save_artifact

ROOT = Path(__file__).parents[2]
FOLDERS = tuple(
    f"{number:03}.Breed_{name}" for number, name in enumerate(("ash", "bay", "coal", "dun", "elk", "fawn"), 1)
)


@dataclass(frozen=True)
class Answer:
    """A response of the server."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Server:
    """A running server process."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            body = response.read()
            return Answer(response.status, json.loads(body) if body else None, dict(response.getheaders()))
        finally:
            connection.close()

    def predict(self, photo: bytes, content_type: str = "image/jpeg") -> Answer:
        """Post a photo."""
        return self.request("POST", "/invocations", photo, {"Content-Type": content_type})


@contextmanager
def drawn_anew() -> Iterator[None]:
    """Draw the same random weights whatever was drawn before, and leave what is drawn later as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


@pytest.fixture(scope="session")
def make_artifact(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Path]:
    torch.set_num_threads(1)  # several threads wait long for each other where other processes run, as tests do
    with drawn_anew():
        backbone = build_backbone("efficientnet_lite0")

    def make(folders: tuple[str, ...]) -> Path:
        directory = tmp_path_factory.mktemp("artifact")
        with drawn_anew():
            head = nn.Linear(backbone.feature_dim, len(folders))
        save_artifact(directory, Classifier(backbone, head), Classes(folders), {"test_accuracy": 0.5})
        return directory

    return make


@pytest.fixture(scope="session")
def artifact(make_artifact: Callable[[tuple[str, ...]], Path]) -> Path:
    return make_artifact(FOLDERS)


@pytest.fixture(scope="session")
def model(artifact: Path) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(Variable.ENGINE, "eager")  # measuring the others takes seconds
        return model_fn(str(artifact))


@pytest.fixture(scope="session")
def picture() -> Image.Image:
    """A photo in which every side looks different, so that a wrong turn changes the prediction."""
    image = Image.radial_gradient("L").resize((400, 260)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 150, 60), fill="red")
    draw.ellipse((260, 120, 380, 250), fill="green")
    draw.polygon([(60, 250), (120, 100), (180, 250)], fill="blue")
    return image


@pytest.fixture(scope="session")
def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Server]]:
    """Start a server as SageMaker would: the launcher, and the code that travels in the artifact."""
    started: list[subprocess.Popen[bytes]] = []

    def start(artifact: Path) -> Server:
        base = tmp_path_factory.mktemp("ml")
        shutil.copytree(artifact, base / "model")
        for package in ("contract", "vision", "serving"):
            shutil.copytree(
                ROOT / package,
                base / "model" / ArtifactFile.CODE / package,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        log = base / "log"
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": str(port)}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "container.serve"], cwd=ROOT, env=environment, stderr=stderr
            )
        started.append(process)
        return Server(process, port, log)

    yield start
    for process in started:  # one that a failed test left, too
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def wait_until_ready() -> Callable[[Server], list[int]]:
    """Ping until the model is ready; return the statuses seen on the way."""

    def wait(server: Server) -> list[int]:
        statuses: list[int] = []
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert server.process.poll() is None, server.log.read_text()
            try:
                statuses.append(server.request("GET", "/ping").status)
            except ConnectionRefusedError:
                pass
            else:
                if statuses[-1] == 200:
                    return statuses
            time.sleep(0.05)
        raise AssertionError(f"not ready after 300 s: {server.log.read_text()}")

    return wait


@pytest.fixture(scope="session")
def server(
    artifact: Path,
    start_server: Callable[[Path], Server],
    wait_until_ready: Callable[[Server], list[int]],
) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        # In float32 everywhere: the fastest engine differs from one processor to the next, and so do its last digits.
        patch.setenv(Variable.ENGINE, "eager")
        running = start_server(artifact)
    wait_until_ready(running)
    yield running
    running.process.terminate()
    assert running.process.wait(30) == 0
