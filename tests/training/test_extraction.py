"""Resuming, precision and memory of the extraction, on a backbone small enough to run in no time."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training import extract_features as job
from training import extraction, frozen_network
from training.environment import Interrupted, StopSignal
from training.extraction import Request
from training.features import load_features
from vision.backbones import Backbone, LoadedBackbone
from vision.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]
REQUEST = Request("efficientnet_lite0", "none", views=2, seed=3)


class StopAfter(StopSignal):
    """Asks the job to stop after so many batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._left = batches

    def check(self, elsewhere: bool = False) -> None:
        self._left -= 1
        if self._left == 0:
            raise Interrupted(143)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Backbone:
    """Return the backbone; a split of 16 photos with 2 views has four batches and two parts."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 7, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    ).eval()
    look = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")
    backbone = Backbone("small", network, [("all", [network])], 32, look)
    monkeypatch.setattr(job, "load_backbone", lambda *args: LoadedBackbone(backbone, "drawn"))
    monkeypatch.setattr(extraction, "BATCH_VIEWS", {"cpu": 8, "cuda": 8})
    monkeypatch.setattr(extraction, "PART_VIEWS", 16)
    return backbone


def extract(prepared: Path, place: Path, stop: StopSignal | None = None, request: Request = REQUEST) -> dict[str, str]:
    """Extract into ``place`` and return a hash of every file."""
    job.extract_features(prepared, place / "features", place / "parts", request, stop or StopSignal())
    return hashes(place / "features")


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def damage(prepared: Path, *names: str) -> None:
    for name in names:
        (prepared / "train" / name).write_bytes(b"broken")


def test_the_same_extraction_twice_gives_the_same_bytes(prepared: Path, tmp_path: Path) -> None:
    assert extract(prepared, tmp_path / "one") == extract(prepared, tmp_path / "two")


@pytest.mark.parametrize("batches", [1, 2, 3, 4, 5])
def test_stopped_anywhere_and_resumed_the_features_are_the_same(prepared: Path, tmp_path: Path, batches: int) -> None:
    damage(prepared, "001.Red_dog/2.jpg", "001.Red_dog/7.jpg", "002.Blue_dog/7.jpg")
    whole = extract(prepared, tmp_path / "whole")
    with pytest.raises(Interrupted):
        extract(prepared, tmp_path / "broken", StopAfter(batches))
    assert not (tmp_path / "broken" / "features").exists()
    assert extract(prepared, tmp_path / "broken") == whole


def test_nothing_finished_is_computed_again(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Interrupted):
        extract(prepared, tmp_path, StopAfter(3))
    computed: list[int] = []
    original = frozen_network.FrozenNetwork.__call__

    def counting(self: frozen_network.FrozenNetwork, views: torch.Tensor) -> torch.Tensor:
        computed.append(len(views))
        return original(self, views)

    monkeypatch.setattr(frozen_network.FrozenNetwork, "__call__", counting)
    extract(prepared, tmp_path)
    assert computed == [8, 6]  # one batch of 4 training photos with 2 views, then the 6 validation photos
    assert "train: resumed after 12 of 16 photos" in capsys.readouterr().out


def test_a_damaged_part_costs_its_photos_again_and_says_so(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = extract(prepared, tmp_path / "whole")
    with pytest.raises(Interrupted):
        extract(prepared, tmp_path / "broken", StopAfter(4))
    (path,) = (tmp_path / "broken").glob("parts/*/train-00001.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert extract(prepared, tmp_path / "broken") == whole
    assert "train-00001.npz cannot be used, its photos are done again" in capsys.readouterr().out


def test_parts_of_another_request_are_not_continued(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        extract(prepared, tmp_path, StopAfter(3))
    other = Request("efficientnet_lite0", "none", views=2, seed=4)
    assert extract(prepared, tmp_path, request=other) == extract(prepared, tmp_path / "fresh", request=other)


def test_the_parts_are_gone_when_the_features_are_there(prepared: Path, tmp_path: Path) -> None:
    extract(prepared, tmp_path)
    assert list((tmp_path / "parts").iterdir()) == []


def test_photos_that_cannot_be_decoded_are_named_even_if_that_was_before_a_stop(prepared: Path, tmp_path: Path) -> None:
    damage(prepared, "001.Red_dog/0.jpg", "002.Blue_dog/7.jpg")
    with pytest.raises(Interrupted):
        extract(prepared, tmp_path, StopAfter(2))
    extract(prepared, tmp_path)
    spec = load_features(tmp_path / "features").spec
    assert spec.left_out == ("train/001.Red_dog/0.jpg", "train/002.Blue_dog/7.jpg")
    assert spec.counts == {"train": 14, "valid": 6}


def test_each_photo_has_its_own_crops_and_its_own_label(prepared: Path, tmp_path: Path) -> None:
    extract(prepared, tmp_path)
    train = load_features(tmp_path / "features").train
    assert train.labels.tolist() == [0] * 8 + [1] * 8
    assert len({tuple(row) for row in train.features.flatten(0, 1).tolist()}) == 32


def test_a_machine_with_bfloat16_computes_in_it_and_the_spec_says_so(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen_network, "native_precision", lambda device: torch.float32)
    extract(prepared, tmp_path / "fp32")
    monkeypatch.setattr(frozen_network, "native_precision", lambda device: torch.bfloat16)
    extract(prepared, tmp_path / "bf16")
    exact, near = (load_features(tmp_path / name / "features") for name in ("fp32", "bf16"))
    assert (exact.spec.precision, near.spec.precision) == ("float32", "bfloat16")
    assert not torch.equal(exact.train.features, near.train.features)
    assert torch.allclose(exact.train.features.float(), near.train.features.float(), atol=0.03)


def test_a_small_set_is_not_compiled_and_a_large_one_is(small: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module, dynamic: module)
    least = frozen_network.COMPILE_FROM["cpu"]
    assert not frozen_network.FrozenNetwork(small, 8, least - 1).compiled
    assert frozen_network.FrozenNetwork(small, 8, least).compiled
    assert frozen_network.FrozenNetwork(small, 8, 10, compile_from=10).compiled


def test_where_nothing_can_be_compiled_the_job_says_so_and_goes_on(
    small: Backbone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_compiler(views: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("No working C++ compiler found\nin $CXX")

    monkeypatch.setattr(torch, "compile", lambda module, dynamic: no_compiler)
    network = frozen_network.FrozenNetwork(small, 8, 10, compile_from=1)
    assert not network.compiled
    assert network(torch.zeros(8, 3, 32, 32)).shape == (8, 32)
    assert capsys.readouterr().out == (
        "notice: the backbone is not compiled, which only costs time: No working C++ compiler found\n"
    )


_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from torch import nn
from training import extract_features as job, extraction
from training.environment import StopSignal
from training.extraction import Request
from vision.backbones import Backbone, LoadedBackbone
from vision.preprocessing import Preprocessing

class Wide(nn.Module):
    def forward(self, views):  # (N, 3, 16, 16) -> (N, 24576): as much as twelve views of ResNet50's
        return views.flatten(1).repeat(1, 32)

look = Preprocessing(16, 16, (0.5,) * 3, (0.5,) * 3, "bilinear")
backbone = Backbone("wide", Wide(), [], 24576, look)
extraction.PART_VIEWS = 128
job.load_backbone = lambda *args: LoadedBackbone(backbone, "drawn")
for name in sys.argv[2:]:
    place = Path(sys.argv[1]) / name
    job.extract_features(place / "prepared", place / "features", place / "parts", Request(), StopSignal())
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_number_of_photos(
    prepared: Path, tmp_path: Path, run_python: Callable[[Sequence[str]], str]
) -> None:
    """Ten times the photos have 84 MiB of features more, and 20 MiB are what lists and threads may take."""
    for name, photos in {"small": 100, "large": 1000}.items():
        more_photos(prepared, tmp_path / name / "prepared", photos)
    printed = run_python(["-c", _MEMORY, str(tmp_path), "small", "large"])
    small, large = (int(line.split()[1]) for line in printed.splitlines() if line.startswith("peak"))
    assert (tmp_path / "large" / "features" / "train_features.npy").stat().st_size > 2 * 1000 * 24576 * 2
    assert large - small < 20


def more_photos(prepared: Path, place: Path, photos_per_class: int) -> None:
    """Make a prepared set with many names for few photos."""
    for folder in prepared.glob("*/*/"):
        target = place / folder.relative_to(prepared)
        target.mkdir(parents=True)
        for number in range(photos_per_class if folder.parent.name == "train" else 1):
            (target / f"{number:05d}.jpg").hardlink_to(folder / f"{number % 3}.jpg")
    (place / "summary.json").write_bytes((prepared / "summary.json").read_bytes())


@pytest.fixture
def run_python() -> Callable[[Sequence[str]], str]:
    def run(arguments: Sequence[str]) -> str:
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_a_job_killed_at_once_goes_on_and_ends_in_the_same_features(prepared: Path, tmp_path: Path) -> None:
    more_photos(prepared, tmp_path / "many", 16)
    program = "from training import extraction, extract_features as job; extraction.PART_VIEWS = 32; "
    options = ["--prepared", str(tmp_path / "many"), "--backbone", "efficientnet_lite0", "--views", "4"]

    def start(name: str, more: str = "") -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", f"{program}{more}job.main()", *options, "--model-dir", str(tmp_path / name)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    whole = start("whole")
    assert whole.communicate(timeout=900)[0]
    assert whole.returncode == 0
    # It waits for its end where it would begin the second part, so that a quick machine does not finish it first.
    keep = "import time; keep = extraction.FeatureParts.add; "
    killed = start("killed", keep + "extraction.FeatureParts.add = lambda *part: (keep(*part), time.sleep(600)); ")
    parts = tmp_path / "killed-parts"
    deadline = time.monotonic() + 300
    while len(list(parts.glob("*/train-*.npz"))) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    resumed = start("killed")
    printed = resumed.communicate(timeout=900)[0]
    assert "train: resumed after" in printed
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "whole")
    assert np.load(tmp_path / "killed" / "train_features.npy", mmap_mode="r").shape == (32, 4, 1280)
