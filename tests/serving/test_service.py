"""The service before it is ready, when it is busy, and when the model fails, all in one process."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import pytest
from PIL import Image

from contract.inference import ErrorCode, InferenceError
from serving import service as service_module
from serving.inference import Model
from serving.server import build_app
from serving.service import ModelService

Result = TypeVar("Result")
JPEG = {"Content-Type": "image/jpeg"}


def run(use: Callable[[httpx.AsyncClient, ModelService], Awaitable[Result]], load: Callable[[], Model]) -> Result:
    async def session() -> Result:
        service = ModelService(load)
        transport = httpx.ASGITransport(build_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://endpoint") as client:
            return await use(client, service)

    return asyncio.run(session())


def test_ping_is_503_until_the_model_has_loaded_and_answered_a_photo(
    model: Model, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, warm = threading.Event(), threading.Event()
    answered: list[bytes] = []

    def load() -> Model:
        loaded.wait(10)
        return model

    def answer(model: Model, body: bytes, content_type: str | None, accept: str | None) -> bytes:
        warm.wait(10)
        answered.append(body)
        return b"{}"

    monkeypatch.setattr(service_module, "_answer", answer)

    async def use(client: httpx.AsyncClient, service: ModelService) -> None:
        starting = asyncio.create_task(service.start())
        await asyncio.sleep(0.05)
        assert (await client.get("/ping")).status_code == 503
        refused = await client.post("/invocations", content=jpeg, headers=JPEG)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == ErrorCode.UNAVAILABLE
        loaded.set()
        await asyncio.sleep(0.05)
        assert (await client.get("/ping")).status_code == 503
        assert not answered
        warm.set()
        await starting
        assert len(answered) == 1
        assert (await client.get("/ping")).status_code == 200

    run(use, load)


def test_a_model_that_fails_its_first_photo_never_gets_ready(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_image: Image.Image, _model: Model) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(service_module, "predict_fn", fail)

    async def use(client: httpx.AsyncClient, service: ModelService) -> None:
        with pytest.raises(RuntimeError, match="no such kernel"):
            await service.start()
        assert (await client.get("/ping")).status_code == 503

    run(use, lambda: model)


def test_more_waiting_photos_than_fit_are_refused_and_ping_still_answers(
    model: Model, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "MAX_WAITING", 3)

    async def use(client: httpx.AsyncClient, service: ModelService) -> list[int]:
        await service.start()
        turn = model.turn
        turn.acquire()
        posts = [asyncio.create_task(client.post("/invocations", content=jpeg, headers=JPEG)) for _ in range(5)]
        done, _ = await asyncio.wait(posts, return_when=asyncio.ALL_COMPLETED, timeout=0.5)
        assert [task.result().status_code for task in done] == [503, 503]
        assert (await client.get("/ping")).status_code == 200
        turn.release()
        return sorted([(await post).status_code for post in posts])

    assert run(use, lambda: model) == [200, 200, 200, 503, 503]


def test_a_bug_is_an_internal_error_that_tells_the_client_nothing(
    model: Model, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(client: httpx.AsyncClient, service: ModelService) -> httpx.Response:
        await service.start()

        def fail(_image: Image.Image, _model: Model) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(service_module, "predict_fn", fail)
        return await client.post("/invocations", content=jpeg, headers=JPEG)

    response = run(use, lambda: model)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == ErrorCode.INTERNAL
    assert "secret" not in response.text


def test_an_answer_before_the_model_is_there_is_refused(model: Model) -> None:
    async def answer() -> None:
        await ModelService(lambda: model).answer(b"", None, None)

    with pytest.raises(InferenceError, match="still loading"):
        asyncio.run(answer())
