import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.training.profiling.small_training import Usual, Wrap, fine_tune, open_one
from training.profiling.profile import Profile
from training.profiling.recording import RecordingProfiler


@pytest.fixture
def profiler(tmp_path: Path) -> Iterator[RecordingProfiler]:
    made = open_one(tmp_path)
    yield made
    made.close()


@pytest.fixture
def profiled(profiler: RecordingProfiler, tmp_path: Path) -> Callable[..., Profile]:
    """Return a function that fine-tunes under the profiler and returns what it saw."""

    def run(epochs: int = 2, wrap: Wrap = lambda source: source) -> Profile:
        fine_tune(tmp_path / "checkpoints", profiler, epochs, wrap)
        return profiler.finish()

    return run


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Usual:
    """Return the profile of an ordinary training, how long it took at least and at most, and where its trace is."""
    folder = tmp_path_factory.mktemp("usual")
    begun = time.perf_counter()
    profiler = open_one(folder)
    opened = time.perf_counter()
    fine_tune(folder / "checkpoints", profiler, epochs=3)
    ended = time.perf_counter()
    profile = profiler.finish()
    return Usual(profile, ended - opened, time.perf_counter() - begun, folder)
