"""Which photos go through the network together.

A photo that finds the network idle goes at once, alone. While the network works, photos gather; when it has finished,
those go next, in the order of their arrival, as many as are worth it. Where there are fewer, it waits for those that
are being decoded at that moment, but not long. So nobody waits for photos that nobody has sent.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from serving.incarnation import ModelDiedError
from serving.messages import Array
from serving.model_process import EngineError
from serving.slots import Slot
from serving.telemetry import Stage, Telemetry


class Network(Protocol):
    """What batches are given to: ``serving.model_process.ModelProcess``."""

    @property
    def batch(self) -> int:
        """So many photos at once are worth it."""

    async def wait_ready(self) -> None:
        """Wait until it answers photos."""

    async def logits(self, slots: list[Slot]) -> Array:
        """Return logits (N, classes)."""

    async def explain(self, slot: Slot, classes: list[int]) -> Array:
        """Return heat maps (n, h, w)."""


@dataclass(eq=False)
class _Waiting:
    """A photo on its way: to its logits, or where ``classes`` are given to its heat maps."""

    slot: Slot
    answer: asyncio.Future[Array]
    classes: list[int] | None
    since: float = field(default_factory=time.monotonic)


class Batching:
    """Gives the photos that wait to whichever network is free."""

    def __init__(
        self, networks: Sequence[Network], batch_photos: int, wait_seconds: float, telemetry: Telemetry
    ) -> None:
        """Take at most ``batch_photos`` at once (0: what each network gains from), gathered for ``wait_seconds``."""
        self._networks = networks
        self._telemetry = telemetry
        self._batch_photos = batch_photos
        self._wait_seconds = wait_seconds
        self._queue: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._idle = 0
        self._coming = 0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """How many photos wait for a network."""
        return len(self._queue)

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Say that a photo is being decoded: others may wait for it."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1
            self._notify()

    async def logits(self, slot: Slot) -> Array:
        """Return the logits (classes,) of the photo in ``slot``. Cancelled, it leaves the queue.

        Raises:
            ModelDiedError, EngineError: for each photo of the batch.
        """
        return await self._ask(slot, None)

    async def explain(self, slot: Slot, classes: list[int]) -> Array:
        """Return heat maps (n, h, w) for n classes of the photo in ``slot``, in its turn as for ``logits``."""
        return await self._ask(slot, classes)

    async def _ask(self, slot: Slot, classes: list[int] | None) -> Array:
        waiting = _Waiting(slot, asyncio.get_running_loop().create_future(), classes)
        self._queue.append(waiting)
        self._notify()
        try:
            return await waiting.answer
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)

    def start(self) -> None:
        """Give photos to the networks from now on."""
        self._tasks = [asyncio.create_task(self._work(network)) for network in self._networks]

    async def stop(self) -> None:
        """Give none any more; those that wait get ModelDiedError."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        _fail(self._queue, _ending())

    def _notify(self) -> None:
        self._changed.set()  # wakes all who wait at this moment
        self._changed.clear()

    async def _work(self, network: Network) -> None:
        """Keep one network busy."""
        worked = False
        while True:
            await network.wait_ready()
            if not self._queue:
                worked = False
                self._idle += 1
                try:
                    await self._changed.wait()
                finally:
                    self._idle -= 1
                continue
            if worked:
                await self._gather(self._most(network))
            if batch := self._take(self._most(network)):
                await self._run(network, batch)
                worked = True

    def _most(self, network: Network) -> int:
        return self._batch_photos or network.batch

    async def _gather(self, most: int) -> None:
        """Wait until the next batch is full, nothing is being decoded, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_seconds):
                while 0 < len(self._queue) < most and self._coming:
                    await self._changed.wait()

    def _take(self, most: int) -> list[_Waiting]:
        """Take the next batch off the queue: a fair share of it where several networks are idle."""
        most = min(most, math.ceil(len(self._queue) / (self._idle + 1)))
        batch: list[_Waiting] = []
        while self._queue and len(batch) < most:
            if self._queue[0].classes is not None and batch:
                break  # an explanation goes alone
            batch.append(self._queue.popleft())
            if batch[0].classes is not None:
                break
        return batch

    async def _run(self, network: Network, batch: list[_Waiting]) -> None:
        """Answer a batch. It holds the slots until the network reads them no more, whoever gives up meanwhile."""
        started = time.monotonic()
        for one in batch:
            one.slot.hold()
            self._telemetry.observe(Stage.WAIT, started - one.since)
        try:
            for one, answer in zip(batch, await _answers(network, batch), strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)
        except (ModelDiedError, EngineError) as error:
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, _ending())
            raise
        finally:
            for one in batch:
                one.slot.drop()
            self._telemetry.observe(Stage.MODEL, time.monotonic() - started)
            self._telemetry.batch(len(batch))


async def _answers(network: Network, batch: list[_Waiting]) -> list[Array]:
    first = batch[0]
    if first.classes is not None:
        return [await network.explain(first.slot, first.classes)]
    logits = await network.logits([one.slot for one in batch])  # (N, classes)
    if len(logits) != len(batch):
        raise EngineError(f"{len(logits)} answers to {len(batch)} photos")
    return list(logits)


def _fail(waiting: Iterable[_Waiting], error: Exception) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_exception(type(error)(*error.args))


def _ending() -> ModelDiedError:
    return ModelDiedError("the server is ending")
