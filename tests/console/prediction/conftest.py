import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from console.commands import app
from console.context import Console
from console.prediction import commands, request
from console.prediction.api import Api
from console.prediction.patience import Patience
from console.screen import Screen
from tests.console.prediction.fake_api import JPEG, FakeApi, running

Pedigree = Callable[..., Result]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with running() as api:
        yield api


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    return tmp_path / "photo.jpg"


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that were made, none of which took any time."""
    return []


@pytest.fixture
def patience(screen: Screen, pauses: list[float]) -> Patience:
    return Patience(screen, sleep=pauses.append, draw=lambda: 0.5)


@pytest.fixture
def pedigree(api: FakeApi, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Pedigree:
    """Run the command line against the API; its pauses take no time."""
    monkeypatch.setattr(Console, "require_running", lambda console: None)
    monkeypatch.setattr(commands, "deployed", lambda cloud: None)
    monkeypatch.setattr(Api, "of", lambda cloud, deployed: api.api)
    monkeypatch.setattr(request, "Patience", functools.partial(Patience, sleep=pauses.append, draw=lambda: 0.5))

    def run(*words: object, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], input=stdin)

    return run
