"""The service with a model process that obeys its photos: busy, dying, hanging, and clients that give up."""

import asyncio
import base64
import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import serving.service as service_module
from contract.inference import ErrorCode, InferenceError
from contract.names import ArtifactFile
from contract.serving import Serving
from serving.model_process import ModelLoadError
from serving.service import ModelService
from tests.serving.obedient import BATCHES, DIES, FAILS, HANGS, HOLD, UNLOADABLE

LOADER = "tests.serving.obedient:load"
Use = Callable[[ModelService], Awaitable[None]]


@pytest.fixture
def obedient(artifact: Path, tmp_path: Path) -> Path:
    """An artifact without weights: the obedient engine needs none."""
    weights = shutil.ignore_patterns(ArtifactFile.WEIGHTS)
    return Path(shutil.copytree(artifact, tmp_path / "obedient", ignore=weights))


def run(directory: Path, use: Use, serving: Serving = Serving(engine="eager", timeout_seconds=120)) -> None:
    async def session() -> None:
        service = ModelService(directory, serving, loader=LOADER)
        await service.start()
        try:
            await use(service)
        finally:
            (directory / HOLD).unlink(missing_ok=True)
            await service.stop()

    asyncio.run(session())


def photo(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (256, 256), value).save(buffer, "PNG")
    return buffer.getvalue()


async def ask(service: ModelService, value: int) -> Any:
    return json.loads(await service.answer(photo(value), "image/png"))


def batches(directory: Path) -> list[list[int]]:
    """Return the grey values of each batch, without the first of a process, which warms it up."""
    lines = (directory / BATCHES).read_text().splitlines()
    return [batch for line in lines if (batch := [int(value) for value in line.split()]) != [128]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_photo_alone_is_answered(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        assert service.ready
        answer = await ask(service, 40)
        assert len(answer["predictions"]) == 5
        assert answer["predictions"][0]["label"] == "Breed ash"
        assert batches(obedient) == [[40]]
        assert service.slots.free == service.slots.count
        assert service.taken == 0

    run(obedient, use)
