"""Which photos go together, with networks that work until they are told to stop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from serving.batching import Batching
from serving.incarnation import ModelDiedError
from serving.messages import Array
from serving.model_process import EngineError
from serving.slots import Slot, Slots
from serving.telemetry import Telemetry

LONG = 600.0  # a wait that no test survives
TICKS = 20  # more than any of the chains of tasks here is long


@dataclass
class Network:
    """Says of each photo the number of its slot, once it may."""

    batch: int = 4
    batches: list[list[int]] = field(default_factory=list)
    explained: list[int] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.up.set()

    async def wait_ready(self) -> None:
        await self.up.wait()

    async def logits(self, slots: list[Slot]) -> Array:
        self.batches.append([slot.index for slot in slots])
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return np.array([[slot.index] for slot in slots], np.float32)

    async def explain(self, slot: Slot, classes: list[int]) -> Array:
        self.batches.append([slot.index])
        self.explained.append(slot.index)
        return np.array([[[number]] for number in classes], np.float32)


@dataclass
class Bench:
    """A batching with its slots, and photos in them."""

    batching: Batching
    slots: Slots
    tasks: list["asyncio.Task[Array]"] = field(default_factory=list)

    async def photo(self) -> "asyncio.Task[Array]":
        """Let one more photo ask for its logits."""
        slot = await self.slots.acquire()

        async def ask() -> Array:
            with slot:
                return await self.batching.logits(slot)

        self.tasks.append(asyncio.create_task(ask()))
        await settle()
        return self.tasks[-1]

    async def answers(self) -> list[float]:
        return [float((await task)[0]) for task in self.tasks]


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(TICKS):
        await asyncio.sleep(0)


def run(
    use: Callable[[Bench], Awaitable[None]], networks: list[Network], *, most: int = 0, wait_seconds: float = LONG
) -> None:
    async def session() -> None:
        slots = Slots(16, 1)
        batching = Batching(networks, most, wait_seconds, Telemetry())
        batching.start()
        await settle()
        await use(Bench(batching, slots))
        await batching.stop()
        assert slots.free == slots.count
        slots.close()

    asyncio.run(asyncio.wait_for(session(), 60))


def test_a_photo_goes_at_once_when_the_network_is_idle_whoever_is_being_decoded() -> None:
    network = Network()
    network.may_answer.set()

    async def use(bench: Bench) -> None:
        with bench.batching.coming():
            await bench.photo()
            assert network.batches == [[0]]
        assert await bench.answers() == [0]

    run(use, [network])


def test_photos_that_come_while_the_network_works_go_together_in_their_order() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        for _ in range(7):
            await bench.photo()
        assert network.batches == [[0]]
        network.may_answer.set()
        assert await bench.answers() == [0, 1, 2, 3, 4, 5, 6]
        assert network.batches == [[0], [1, 2, 3, 4], [5, 6]]

    run(use, [network])


def test_the_settings_may_ask_for_smaller_batches() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        for _ in range(5):
            await bench.photo()
        network.may_answer.set()
        await bench.answers()
        assert network.batches == [[0], [1, 2], [3, 4]]

    run(use, [network], most=2)


def test_after_a_batch_the_next_waits_for_a_photo_that_is_being_decoded() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        await bench.photo()
        await bench.photo()
        with bench.batching.coming():
            network.may_answer.set()
            await settle()
            assert network.batches == [[0]]
        await bench.photo()
        assert network.batches[1] == [1]  # what was being decoded came to nothing

        network.may_answer.clear()
        await bench.photo()
        await bench.photo()
        with bench.batching.coming():
            network.may_answer.set()
            await settle()
            await bench.photo()
            assert network.batches[-1] == [3]
        await bench.answers()
        assert network.batches[-1] == [4, 5]

    run(use, [network])


def test_a_full_batch_waits_for_nobody() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        for _ in range(5):
            await bench.photo()
        with bench.batching.coming():
            network.may_answer.set()
            await bench.answers()
        assert network.batches == [[0], [1, 2, 3, 4]]

    run(use, [network])


def test_who_is_decoded_for_long_is_not_waited_for() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        await bench.photo()
        await bench.photo()
        with bench.batching.coming():
            network.may_answer.set()
            assert await bench.answers() == [0, 1]

    run(use, [network], wait_seconds=0.001)


def test_who_gives_up_leaves_the_queue() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        for _ in range(3):
            await bench.photo()
        bench.tasks.pop(1).cancel()
        await settle()
        assert bench.batching.waiting == 1
        network.may_answer.set()
        assert await bench.answers() == [0, 2]
        assert network.batches == [[0], [2]]

    run(use, [network])


def test_the_slot_of_who_gives_up_is_not_given_away_while_the_network_reads_it() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        (await bench.photo()).cancel()
        await settle()
        assert bench.slots.free == 15
        bench.tasks.clear()
        network.may_answer.set()
        await settle()
        assert bench.slots.free == 16

    run(use, [network])


@pytest.mark.parametrize("error", [ModelDiedError("killed"), EngineError("no such kernel")])
def test_a_failure_costs_the_batch_at_work_and_the_others_wait_for_the_next_process(error: Exception) -> None:
    network = Network(error=error)

    async def use(bench: Bench) -> None:
        for _ in range(3):
            await bench.photo()
        network.up.clear()
        network.may_answer.set()
        with pytest.raises(type(error), match=str(error)):
            await bench.tasks.pop(0)
        await settle()
        assert network.batches == [[0]]
        network.error = None
        network.up.set()
        assert await bench.answers() == [1, 2]

    run(use, [network])


def test_an_answer_too_few_fails_the_batch_and_not_the_server() -> None:
    class Short(Network):
        async def logits(self, slots: list[Slot]) -> Array:
            return (await super().logits(slots))[1:]

    network = Short()
    network.may_answer.set()

    async def use(bench: Bench) -> None:
        for _ in range(2):
            with pytest.raises(EngineError, match="0 answers to 1 photos"):
                await (await bench.photo())

    run(use, [network])


def test_two_networks_share_what_waits() -> None:
    first, second = Network(), Network()

    async def use(bench: Bench) -> None:
        for _ in range(2):
            await bench.photo()
        assert sorted(first.batches + second.batches) == [[0], [1]]
        for _ in range(4):
            await bench.photo()
        second.may_answer.set()
        await settle()
        assert [0] in second.batches or [1] in second.batches
        assert second.batches[1] == [2, 3, 4, 5]
        first.may_answer.set()
        assert await bench.answers() == [0, 1, 2, 3, 4, 5]

    run(use, [first, second])


def test_idle_networks_divide_what_comes_at_once() -> None:
    networks = [Network(), Network()]

    async def use(bench: Bench) -> None:
        slots = [await bench.slots.acquire() for _ in range(4)]
        asked = [asyncio.create_task(bench.batching.logits(slot)) for slot in slots]
        await settle()
        assert [network.batches for network in networks] == [[[0, 1]], [[2, 3]]]
        for network in networks:
            network.may_answer.set()
        await asyncio.gather(*asked)
        for slot in slots:
            slot.drop()

    run(use, networks)


def test_an_explanation_goes_alone_and_in_its_turn() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        await bench.photo()
        await bench.photo()
        slot = await bench.slots.acquire()
        heat = asyncio.create_task(bench.batching.explain(slot, [3, 5]))
        await settle()
        await bench.photo()
        network.may_answer.set()
        assert (await heat).ravel().tolist() == [3, 5]
        slot.drop()
        await bench.answers()
        assert network.batches == [[0], [1], [2], [3]]
        assert network.explained == [2]

    run(use, [network])


def test_who_waits_when_the_server_ends_is_told() -> None:
    network = Network()

    async def use(bench: Bench) -> None:
        await bench.photo()
        await bench.photo()
        await bench.batching.stop()
        for task in bench.tasks:
            with pytest.raises(ModelDiedError):
                await task

    run(use, [network])
