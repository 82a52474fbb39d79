from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.doctor.result import Subject
from console.project import Project
from infra.show_settings import resolved
from tests.console.doctor.subjects import FakeAws


@pytest.fixture
def cloud() -> FakeAws:
    return FakeAws()


@pytest.fixture
def settings() -> dict[str, Any]:
    return resolved("dev")


@pytest.fixture
def subject(cloud: FakeAws, settings: dict[str, Any], tmp_path: Path) -> Subject:
    return Subject(Project(tmp_path), cloud, settings, "toy")


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make every HEAD request answer with a status."""

    def answer(status: int) -> None:
        def head(url: str, **options: Any) -> httpx.Response:
            return httpx.Response(status, headers={"content-length": "1100000000"}, request=httpx.Request("HEAD", url))

        monkeypatch.setattr(httpx, "head", head)

    return answer


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def head(url: str, **options: Any) -> httpx.Response:
        raise httpx.ConnectError("Name or service not known")

    monkeypatch.setattr(httpx, "head", head)
