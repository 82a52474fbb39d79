"""A real model process, with an engine that obeys its photos: how it ends, and what comes after it."""

import asyncio
import errno
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

import serving.model_process as model_process
from serving.incarnation import ModelDiedError, ModelLoadError, Recipe
from serving.model_process import EngineError, ModelProcess
from serving.slots import Slot, Slots
from serving.telemetry import Telemetry
from tests.serving.obedient import BATCHES, DIES, FAILS, HANGS, UNLOADABLE

LOADER = "tests.serving.obedient:load"
CROP = 8


def recipe(directory: Path, *, seconds: float = 60, loader: str = LOADER) -> Recipe:
    return Recipe(directory=directory, engine="eager", batch_seconds=seconds, loader=loader)


def run(made: Recipe, use: Callable[[ModelProcess, Slots], Awaitable[None]]) -> None:
    async def session() -> None:
        slots = Slots(4, CROP)
        process = ModelProcess(made, slots, Telemetry())
        try:
            await use(process, slots)
        finally:
            await process.stop()
            slots.close()

    asyncio.run(asyncio.wait_for(session(), 300))


async def photo(slots: Slots, value: int) -> Slot:
    slot = await slots.acquire()
    slot.photo[:] = value
    return slot


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_photos_are_read_from_their_slots(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        assert not process.ready
        await process.start()
        assert process.ready
        assert (process.batch, process.facts) == (4, {"pick": "eager"})
        first, second = await photo(slots, 30), await photo(slots, 40)
        assert (await process.logits([second, first]))[:, 0].tolist() == [40, 30]
        heat = await process.explain(second, [0, 4])  # (2, 2, 2)
        np.testing.assert_allclose(heat[:, 0, 0], [40 / 255, 5 * 40 / 255], rtol=1e-6)

    run(recipe(tmp_path), use)


def test_a_killed_process_costs_what_it_was_asked_and_is_replaced(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        await process.start()
        killed = process.pid
        with pytest.raises(ModelDiedError):
            await process.logits([await photo(slots, DIES)])
        assert not process.ready
        with pytest.raises(ModelDiedError):
            await process.logits([await photo(slots, 10)])
        await process.wait_ready()
        assert process.pid not in (killed, None)
        assert (await process.logits([await photo(slots, 20)]))[:, 0].tolist() == [20]

        # idle this time
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: not process.ready)
        await process.wait_ready()
        assert (await process.logits([await photo(slots, 21)]))[:, 0].tolist() == [21]

    run(recipe(tmp_path), use)


def test_a_stuck_process_is_killed_and_replaced(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        await process.start()
        stuck = process.pid
        assert stuck is not None
        with pytest.raises(ModelDiedError, match="stuck"):
            await process.logits([await photo(slots, HANGS)])
        assert not process.ready
        process._recipe = recipe(tmp_path)  # the next process may be slow, and is not stuck
        await process.wait_ready()
        assert not alive(stuck)
        assert (await process.logits([await photo(slots, 20)]))[:, 0].tolist() == [20]

    run(recipe(tmp_path, seconds=2), use)


def test_a_failing_network_fails_its_batch_and_after_three_in_a_row_its_process(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        await process.start()
        before = process.pid
        fails, works = await photo(slots, FAILS), await photo(slots, 20)
        for batch in (fails, fails, works, fails, fails):
            if batch is works:
                assert (await process.logits([works]))[:, 0].tolist() == [20]
            else:
                with pytest.raises(EngineError, match="no such kernel"):
                    await process.logits([batch])
        assert process.pid == before
        with pytest.raises(EngineError):
            await process.logits([fails])
        await until(lambda: not process.ready)
        await process.wait_ready()
        assert process.pid != before

    run(recipe(tmp_path), use)


def test_a_model_that_cannot_be_loaded_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / UNLOADABLE).write_text("weights.pt is missing")

    async def use(process: ModelProcess, slots: Slots) -> None:
        with pytest.raises(ModelLoadError, match=r"^weights\.pt is missing$"):
            await process.start()
        assert not process.ready

    run(recipe(tmp_path), use)


def test_a_process_that_dies_while_it_loads_ends_the_start(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        with pytest.raises(ModelLoadError, match="exit code 3, while it loaded the model"):
            await process.start()

    run(recipe(tmp_path, loader="tests.serving.obedient:leave"), use)


def test_a_model_that_answers_nonsense_is_not_loaded(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        with pytest.raises(ModelLoadError, match="answers a grey photo with"):
            await process.start()

    run(recipe(tmp_path, loader="tests.serving.obedient:nonsense"), use)


def test_a_restart_that_fails_is_tried_again_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_process, "_FIRST_PAUSE", 0.01)
    pauses: list[float] = []
    whole = ModelProcess._pause

    def noted(self: ModelProcess) -> float:
        pauses.append(whole(self))
        return pauses[-1]

    monkeypatch.setattr(ModelProcess, "_pause", noted)

    async def use(process: ModelProcess, slots: Slots) -> None:
        await process.start()
        (tmp_path / UNLOADABLE).write_text("the disk is full")
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: len(pauses) == 3)
        (tmp_path / UNLOADABLE).unlink()
        await process.wait_ready()
        assert pauses[:3] == [0.01, 0.02, 0.04]
        await process.logits([await photo(slots, 20)])
        assert whole(process) == 0.01

    run(recipe(tmp_path), use)


def test_a_process_that_the_system_cannot_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_process, "_FIRST_PAUSE", 0.01)
    tried: list[int] = []

    def full(*_: object, **__: object) -> None:
        tried.append(1)
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async def use(process: ModelProcess, slots: Slots) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", full)
            with pytest.raises(ModelLoadError, match=r"no process could be started: .*Cannot allocate memory"):
                await process.start()
        await process.start()
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", full)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            await until(lambda: len(tried) == 3)
        await process.wait_ready()
        await process.logits([await photo(slots, 20)])

    run(recipe(tmp_path), use)


def test_it_ends_with_its_front_even_in_the_middle_of_a_photo_and_not_by_other_signals(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _FRONT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as front:
        try:
            assert front.stdout is not None
            pid = int(front.stdout.readline())
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(pid, number)
            assert front.stdout.readline() == "30.0\n"
            wait_for(lambda: (tmp_path / BATCHES).read_text().split().count("30") == 2)  # it is held in the second one
            assert alive(pid)
        finally:
            front.kill()
        wait_for(lambda: not alive(pid))
        _, errors = front.communicate()
    assert "Error" not in errors
    assert "resource_tracker" not in errors


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.01)


_FRONT = """
import asyncio, sys
from pathlib import Path
from serving.incarnation import Recipe
from serving.model_process import ModelProcess
from serving.slots import Slots
from serving.telemetry import Telemetry

async def main(directory):
    slots = Slots(1, 8)
    recipe = Recipe(directory=directory, engine="eager", batch_seconds=600, loader="tests.serving.obedient:load")
    process = ModelProcess(recipe, slots, Telemetry())
    await process.start()
    print(process.pid, flush=True)
    slot = await slots.acquire()
    slot.photo[:] = 30
    await asyncio.sleep(0.2)
    print((await process.logits([slot]))[0, 0], flush=True)
    (directory / "hold").touch()
    await process.logits([slot])

asyncio.run(main(Path(sys.argv[1])))
"""


def test_nothing_is_left_open_when_it_has_ended(tmp_path: Path) -> None:
    async def use(process: ModelProcess, slots: Slots) -> None:
        await process.start()

    run(recipe(tmp_path), use)  # whatever is opened once and kept
    before = open_files()
    run(recipe(tmp_path), use)
    assert open_files() == before


def open_files() -> int:
    gc.collect()  # the mapped memory goes with its array
    return len(list(Path("/proc/self/fd").iterdir()))
