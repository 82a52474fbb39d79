"""Small data sets made of real image files."""

import io
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.training.fake_mlflow import FakeMlflow
from training.features import Features, FeatureSpec, SplitFeatures
from training.manifest import Manifest

PhotoMaker = Callable[..., bytes]
SetMaker = Callable[..., Path]


@pytest.fixture(autouse=True)
def keep_the_process() -> Iterator[None]:
    """Give back what jobs set for the whole process, so that no test depends on those before it."""
    threads, answer = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    yield
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, answer)


def photo_bytes(
    number: int = 0, size: tuple[int, int] = (48, 40), mode: str = "RGB", kind: str = "JPEG", **options: object
) -> bytes:
    """Return an image file; another number gives other bytes."""
    ramp = Image.linear_gradient("L").resize(size).rotate(number % 360)
    tinted = Image.merge(
        "RGB", (ramp, ramp.point(lambda v: (v * 3 + number * 7) % 256), ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    )
    buffer = io.BytesIO()
    tinted.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def photo() -> PhotoMaker:
    return photo_bytes


@pytest.fixture
def make_set(tmp_path: Path) -> SetMaker:
    """Return a function that writes a data set: per split (or None), per class folder, how many photos."""

    def make(splits: dict[str | None, dict[str, int]], root: str = "photos") -> Path:
        number = 0
        for split, classes in splits.items():
            for folder, count in classes.items():
                place = tmp_path / root / (split or "") / folder
                place.mkdir(parents=True, exist_ok=True)
                for index in range(count):
                    number += 1
                    (place / f"{index}.jpg").write_bytes(photo_bytes(number))
        return tmp_path / root

    return make


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Return a prepared data set of two classes that a look at the colour tells apart: 16, 6 and 6 photos."""
    root = tmp_path / "prepared"
    for split, count in {"train": 8, "valid": 3, "test": 3}.items():
        for folder, channel in {"001.Red_dog": 0, "002.Blue_dog": 2}.items():
            (root / split / folder).mkdir(parents=True)
            for index in range(count):
                ramp = Image.linear_gradient("L").resize((48, 40)).rotate(index * 31)
                bands = [ramp.point(lambda value: value // 4) for _ in range(3)]
                bands[channel] = ramp.point(lambda value: 128 + value // 2)
                Image.merge("RGB", bands).save(root / split / folder / f"{index}.jpg")
    counts = {folder: {"train": 8, "valid": 3, "test": 3} for folder in ("001.Red_dog", "002.Blue_dog")}
    Manifest("drawn", 0, "as drawn", "f" * 64, counts, (), (), 0).save(root)
    return root


@pytest.fixture
def make_features() -> Callable[..., Features]:
    """Return a function that draws features of three classes, each around a point of its own."""

    def make(photos: int = 90, views: int = 1, spread: float = 1.0) -> Features:
        generator = torch.Generator().manual_seed(0)
        centres = 2 * torch.randn(3, 12, generator=generator)

        def split(count: int, views: int) -> SplitFeatures:
            labels = torch.arange(count) % 3
            noise = spread * torch.randn(count, views, 12, generator=generator)
            return SplitFeatures((centres[labels].unsqueeze(1) + noise).half(), labels)

        spec = FeatureSpec(
            classes=("001.A", "002.B", "003.C"),
            fingerprint="f" * 64,
            backbone="efficientnet_lite0",
            weights="none",
            weights_origin="drawn",
            weights_digest="0" * 16,
            seed=0,
            feature_dim=12,
            views=views,
            preprocessing={},
            counts={"train": photos, "valid": 45},
            left_out=(),
            notice=None,
        )
        return Features(spec, split(photos, views), split(45, 1))

    return make


@pytest.fixture
def server() -> Iterator[FakeMlflow]:
    """Return a running server that answers as MLflow does."""
    with FakeMlflow() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
