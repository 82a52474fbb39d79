import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from console.project import Project
from console.screen import Screen
from tests.console.fakes import FakeCloud


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def screen(written: io.StringIO) -> Screen:
    """A screen that is no terminal."""
    console = Console(file=written, force_terminal=False, width=80, highlight=False)
    return Screen(console, console)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    def make(**files: bytes) -> Path:
        folder = tmp_path / "photos"
        for name, content in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    return make
