"""The service with a model process that obeys its photos: busy, dying, hanging, and clients that give up."""

import asyncio
import base64
import io
import json
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import serving.service as service_module
from contract.inference import ErrorCode, InferenceError
from contract.names import ArtifactFile
from contract.serving import Serving
from serving.incarnation import ModelLoadError
from serving.inference import Model, input_fn, output_fn, predict_fn
from serving.scaling import scaled
from serving.service import ModelService
from tests.serving.obedient import BATCHES, DIES, FAILS, HANGS, HOLD, UNLOADABLE
from vision.check_photos import Logits
from vision.classifier import ModelCard
from vision.preprocessing import Preprocessing

LOADER = "tests.serving.obedient:load"
SERVING = Serving(engine="eager", timeout_seconds=300)


@pytest.fixture
def obedient(artifact: Path, tmp_path: Path) -> Path:
    """An artifact without weights: the obedient engine needs none."""
    weights = shutil.ignore_patterns(ArtifactFile.WEIGHTS)
    return Path(shutil.copytree(artifact, tmp_path / "obedient", ignore=weights))


@pytest.fixture
def whole_answers() -> None:
    """Ask for answers as they are."""


@pytest.fixture(autouse=True)
def answers_tell_the_photo(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer say the grey value of its photo, and so whose it is."""
    if "whole_answers" in request.fixturenames:
        return

    class GreyAnswer:
        def __init__(self, value: float) -> None:
            self._value = value

        def body(self) -> dict[str, Any]:
            return {"grey": round(self._value)}

    def answers(logits: Logits, _card: ModelCard, _top: int) -> list[Any]:
        return [GreyAnswer(value) for value in logits[:, 0].tolist()]

    def output(said: list[Any], several: bool) -> bytes:
        told = [one.answer() if isinstance(one, InferenceError) else one.body() for one in said]
        if not several and isinstance(said[0], InferenceError):
            raise said[0]
        return json.dumps(told if several else told[0]).encode()

    monkeypatch.setattr(service_module, "answers", answers)
    monkeypatch.setattr(service_module, "output", output)


def run(directory: Path, use: Callable[[ModelService], Awaitable[None]], serving: Serving = SERVING) -> None:
    async def session() -> None:
        service = ModelService(directory, serving, loader=LOADER)
        await service.start()
        try:
            await use(service)
            await until(lambda: service.slots.free == service.slots.count)
            assert service.taken == 0
        finally:
            (directory / HOLD).unlink(missing_ok=True)
            await service.stop()

    asyncio.run(asyncio.wait_for(session(), 300))


def photo(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (256, 256), value).save(buffer, "PNG")
    return buffer.getvalue()


async def ask(service: ModelService, value: int) -> int:
    answer: int = json.loads(await service.answer(photo(value), "image/png"))["grey"]
    return answer


async def ask_together(service: ModelService, values: list[int]) -> list[Any]:
    photos = [base64.b64encode(photo(value)).decode() for value in values]
    said: list[Any] = json.loads(await service.answer(json.dumps({"photos": photos}).encode(), "application/json"))
    return said


def batches(directory: Path) -> list[list[int]]:
    """Return the grey values of each batch, without the one that warms a process up."""
    lines = (directory / BATCHES).read_text().splitlines()
    return [batch for line in lines if (batch := [int(value) for value in line.split()]) != [128]]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def busy(service: ModelService, directory: Path, value: int = 1) -> "asyncio.Task[int]":
    """Return a photo with which the network is at work until the file HOLD has gone."""
    (directory / HOLD).touch()
    working = asyncio.create_task(ask(service, value))
    await until(lambda: bool(batches(directory)) and batches(directory)[-1] == [value])
    return working


def test_each_photo_gets_its_own_answer(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        values = [*range(10, 50)]
        working = await busy(service, obedient)
        asked = [asyncio.create_task(ask(service, value)) for value in values]
        await until(lambda: service.batching.waiting == len(values))
        (obedient / HOLD).unlink()
        assert await asyncio.gather(working, *asked) == [1, *values]
        assert await ask_together(service, values) == [{"grey": value} for value in values]
        assert any(len(batch) > 1 for batch in batches(obedient))

    run(obedient, use)


def test_a_photo_that_cannot_be_used_costs_the_others_of_its_request_nothing(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        photos = [base64.b64encode(data).decode() for data in (photo(20), b"no photo", photo(22))]
        body = json.dumps({"photos": photos}).encode()
        first, second, third = json.loads(await service.answer(body, "application/json"))
        assert (first, third) == ({"grey": 20}, {"grey": 22})
        assert second["error"]["code"] == ErrorCode.BAD_IMAGE
        with pytest.raises(InferenceError) as refused:
            await service.answer(b"no photo", "image/jpeg")
        assert refused.value.code is ErrorCode.BAD_IMAGE

    run(obedient, use)


def test_a_request_of_more_photos_than_there_are_slots_is_answered(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        values = [*range(10, 20)]
        assert await ask_together(service, values) == [{"grey": value} for value in values]

    run(obedient, use, Serving(engine="eager", queue_photos=3))


def test_a_full_queue_refuses_at_once_and_says_when_to_try_again(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        working = await busy(service, obedient)
        waiting = [asyncio.create_task(ask(service, value)) for value in (2, 3)]
        await asyncio.sleep(0)
        for too_many in (ask(service, 4), ask_together(service, [4, 5])):
            with pytest.raises(InferenceError) as refused:
                await too_many
            assert refused.value.code is ErrorCode.UNAVAILABLE
            assert refused.value.retry_after == 1
        (obedient / HOLD).unlink()
        assert await asyncio.gather(working, *waiting) == [1, 2, 3]

    run(obedient, use, Serving(engine="eager", queue_photos=3))


def test_a_process_killed_under_load_costs_only_the_photos_it_was_reading(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        working = await busy(service, obedient)
        waiting = [asyncio.create_task(ask(service, value)) for value in range(2, 12)]
        await until(lambda: service.batching.waiting == 10)
        pid = service.networks[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(InferenceError) as lost:
            await working
        assert lost.value.code is ErrorCode.UNAVAILABLE
        assert lost.value.retry_after is not None
        assert lost.value.retry_after >= 1
        assert not service.ready
        (obedient / HOLD).unlink()
        assert await asyncio.gather(*waiting) == list(range(2, 12))
        assert service.ready
        assert service.networks[0].pid != pid

    run(obedient, use)


def test_a_photo_that_kills_the_network_is_not_tried_on_the_next(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        with pytest.raises(InferenceError, match="ended"):
            await ask(service, DIES)
        assert await ask(service, 30) == 30
        assert batches(obedient) == [[DIES], [30]]

    run(obedient, use)


def test_a_stuck_network_is_replaced_while_others_wait(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        hanging = asyncio.create_task(ask(service, HANGS))
        await until(lambda: bool(batches(obedient)))
        waiting = asyncio.create_task(ask(service, 30))
        with pytest.raises(InferenceError, match="stuck"):
            await hanging
        assert not service.ready
        network = service.networks[0]
        network._recipe = replace(network._recipe, batch_seconds=150)  # the next process may be slow, and is not stuck
        assert await waiting == 30

    run(obedient, use, Serving(engine="eager", timeout_seconds=4))


def test_a_failing_network_tells_the_client_nothing(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        with pytest.raises(InferenceError) as failed:
            await ask(service, FAILS)
        assert failed.value.code is ErrorCode.INTERNAL
        assert "kernel" not in failed.value.message

    run(obedient, use)


def test_who_gives_up_frees_place_and_slot_and_nobody_gets_that_answer(obedient: Path) -> None:
    """One slot: the next photo could only be decoded over the one that the network is reading."""

    async def use(service: ModelService) -> None:
        working = await busy(service, obedient, 1)
        working.cancel()
        await asyncio.wait([working])
        assert service.taken == 0
        assert service.slots.free == 0
        after = asyncio.create_task(ask(service, 99))
        await asyncio.sleep(0.05)
        assert service.slots.photos.max() == 1
        (obedient / HOLD).unlink()
        assert await after == 99
        assert batches(obedient) == [[1], [99]]

    run(obedient, use, Serving(engine="eager", queue_photos=1))


def test_a_slot_is_kept_until_the_thread_that_decodes_into_it_has_ended(
    obedient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def slow(data: bytes, preprocessing: Preprocessing) -> Any:
        (obedient / "decoding").touch()
        while (obedient / HOLD).exists():
            time.sleep(0.001)
        return scaled(data, preprocessing)

    monkeypatch.setattr(service_module, "scaled", slow)

    async def use(service: ModelService) -> None:
        (obedient / HOLD).touch()
        decoding = asyncio.create_task(ask(service, 1))
        await until((obedient / "decoding").exists)
        decoding.cancel()
        await asyncio.wait([decoding])
        assert service.slots.free == 0
        after = asyncio.create_task(ask(service, 99))
        (obedient / HOLD).unlink()
        assert await after == 99

    run(obedient, use, Serving(engine="eager", queue_photos=1))


def test_hundreds_who_give_up_leave_nothing_behind(obedient: Path) -> None:
    async def use(service: ModelService) -> None:
        for number in range(30):
            tasks = [asyncio.create_task(ask(service, value)) for value in range(10, 20)]
            for _ in range(number % 7):
                await asyncio.sleep(0)
            for task in tasks[number % 3 :]:
                task.cancel()
            said = await asyncio.gather(*tasks, return_exceptions=True)
            assert said[: number % 3] == [*range(10, 10 + number % 3)]
            for value, answer in enumerate(said, 10):  # who was answered before giving up has the own answer, too
                assert isinstance(answer, asyncio.CancelledError) or answer == value
        assert service.batching.waiting == 0

    run(obedient, use)


def test_stopping_answers_what_has_been_taken_in(obedient: Path) -> None:
    async def session() -> None:
        service = ModelService(obedient, SERVING, loader=LOADER)
        await service.start()
        working = await busy(service, obedient)
        waiting = asyncio.create_task(ask(service, 2))
        await until(lambda: service.taken == 2)
        stopping = asyncio.create_task(service.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        (obedient / HOLD).unlink()
        assert [await working, await waiting] == [1, 2]
        await stopping
        assert not service.ready
        with pytest.raises(InferenceError, match="loading"):
            await ask(service, 3)

    asyncio.run(asyncio.wait_for(session(), 300))


def test_before_it_is_ready_photos_are_refused_and_a_model_that_cannot_be_loaded_is_said(obedient: Path) -> None:
    (obedient / UNLOADABLE).write_text("weights.pt is missing")

    async def session() -> None:
        service = ModelService(obedient, SERVING, loader=LOADER)
        assert not service.ready
        with pytest.raises(InferenceError, match="still loading") as refused:
            await ask(service, 1)
        assert refused.value.retry_after is not None
        with pytest.raises(ModelLoadError, match="weights"):
            await service.start()
        assert not service.ready
        await service.stop()

    asyncio.run(asyncio.wait_for(session(), 300))


def test_every_device_has_its_process(obedient: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "devices", lambda: [{}, {}])

    async def use(service: ModelService) -> None:
        (obedient / HOLD).touch()
        tasks = [asyncio.create_task(ask(service, 1)), asyncio.create_task(ask(service, 2))]
        await until(lambda: len(batches(obedient)) == 2)
        first, second = (network.pid for network in service.networks)
        assert first is not None
        assert first != second
        os.kill(first, signal.SIGKILL)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert service.ready
        (obedient / HOLD).unlink()
        said = await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(isinstance(one, InferenceError) for one in said) == [False, True]

    run(obedient, use)


@pytest.mark.usefixtures("whole_answers")
def test_the_real_network_answers_and_explains(artifact: Path, jpeg: bytes, model: Model) -> None:
    async def session() -> None:
        service = ModelService(artifact, SERVING)
        await service.start()
        options = [("top", "2"), ("explain", "true")]
        said = json.loads(await service.answer(jpeg, "image/jpeg", options))
        expected = json.loads(output_fn(predict_fn(input_fn(jpeg, "image/jpeg"), model)))
        assert len(said["predictions"]) == 2
        for found, right in zip(said["predictions"], expected["predictions"], strict=False):
            assert found["label"] == right["label"]
            assert found["probability"] == pytest.approx(right["probability"], abs=1e-4)
        assert said["explanation"]["label"] == said["predictions"][0]["label"]
        with Image.open(io.BytesIO(base64.b64decode(said["explanation"]["data"]))) as picture:
            assert picture.size == (224, 224)
        await service.stop()

    asyncio.run(asyncio.wait_for(session(), 300))


def test_the_reason_why_the_real_network_cannot_be_loaded_is_said(obedient: Path) -> None:
    async def session() -> None:
        service = ModelService(obedient, SERVING)
        with pytest.raises(ModelLoadError, match=r"is no model: .*weights\.pt is missing"):
            await service.start()
        await service.stop()

    asyncio.run(asyncio.wait_for(session(), 300))
