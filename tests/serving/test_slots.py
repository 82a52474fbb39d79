"""Slots of shared memory: who gets one when, and that nobody writes where another one reads."""

import asyncio
import os
import subprocess
import sys

import numpy as np
import pytest

from serving.slots import Slot, Slots, map_photos


def test_a_photo_written_here_is_read_by_another_process() -> None:
    slots = Slots(2, 4)
    slots.photos[1] = 7
    read = (
        "import sys; from serving.slots import map_photos; photos = map_photos(int(sys.argv[1]), 2, 4);"
        "print(photos.shape, photos[0].max(), photos[1].min())"
    )
    output = subprocess.run(
        [sys.executable, "-c", read, str(slots.file)], pass_fds=[slots.file], capture_output=True, text=True, check=True
    )
    assert output.stdout.split("\n")[0] == "(2, 3, 4, 4) 0 7"
    slots.close()


def test_slots_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    async def use() -> list[str]:
        slots = Slots(1, 4)
        order: list[str] = []

        async def ask(name: str) -> None:
            with await slots.acquire():
                order.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(*(ask(name) for name in "abc"))
        assert slots.free == 1
        slots.close()
        return order

    assert asyncio.run(use()) == ["a", "b", "c"]


def test_a_slot_is_free_only_when_nobody_holds_it() -> None:
    async def use() -> None:
        slots = Slots(1, 4)
        slot = await slots.acquire()
        slot.hold()
        waiting = asyncio.create_task(slots.acquire())
        slot.drop()
        await asyncio.sleep(0)
        assert not waiting.done()
        slot.drop()
        assert (await waiting).index == slot.index
        slots.close()

    asyncio.run(use())


@pytest.mark.parametrize("given_in_the_same_moment", [False, True])
def test_who_gives_up_waiting_loses_no_slot(given_in_the_same_moment: bool) -> None:
    async def use() -> None:
        slots = Slots(1, 4)
        slot = await slots.acquire()
        impatient, patient = asyncio.create_task(slots.acquire()), asyncio.create_task(slots.acquire())
        await asyncio.sleep(0)
        if given_in_the_same_moment:
            slot.drop()
            impatient.cancel()
        else:
            impatient.cancel()
            await asyncio.sleep(0)
            slot.drop()
        taken = await patient
        assert isinstance(taken, Slot)
        taken.drop()
        assert slots.free == 1
        (await slots.acquire()).drop()
        slots.close()

    asyncio.run(use())


def test_the_memory_has_no_name_that_could_be_left_behind() -> None:
    slots = Slots(1, 4)
    assert os.fstat(slots.file).st_nlink == 0
    slots.close()


def test_mapped_photos_outlive_the_descriptor() -> None:
    slots = Slots(2, 4)
    mapped = map_photos(slots.file, 2, 4)
    slots.close()
    slots.photos[0] = 9
    assert np.all(mapped[0] == 9)
