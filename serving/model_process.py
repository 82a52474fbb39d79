"""A process of its own for the network, seen from the front: started, asked, watched, and started again when it died.

The front only ever waits for it on the event loop, so /ping answers whatever the network does. A process that dies, or
that answers no more, costs the photos that it was reading; the next one is started by itself.
"""

import asyncio
import math
import time
from typing import Any, Final

from serving.incarnation import Incarnation, ModelDiedError, ModelLoadError, Recipe
from serving.logs import logger
from serving.messages import Array, Message
from serving.slots import Slot, Slots
from serving.telemetry import Telemetry

# Compiling and measuring every engine takes under 30 s on two slow cores.
_LOAD_SECONDS: Final = 300.0
# Between a process's death and the next start; doubled after every one that answered nothing.
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class EngineError(Exception):
    """The network failed on this batch; the process goes on, and has logged the cause."""


class ModelProcess:
    """The network behind one device, whichever process runs it at the moment. One question at a time."""

    def __init__(self, recipe: Recipe, slots: Slots, telemetry: Telemetry) -> None:
        """Take how to start it, and where its photos are."""
        self._recipe = recipe
        self._slots = slots
        self._telemetry = telemetry
        self._ready = asyncio.Event()
        self._incarnation: Incarnation | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._deaths_in_a_row = 0
        self.load_seconds = 0.0
        self.batch = 1
        self.facts: dict[str, Any] = {}

    @property
    def ready(self) -> bool:
        """Whether it answers photos now."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The process's id, or None where there is none now."""
        return None if self._incarnation is None else self._incarnation.pid

    @property
    def seconds_to_ready(self) -> int:
        """About how long the next start takes, rounded up: what a client is told to wait for."""
        return math.ceil(self._pause() + self.load_seconds)

    async def start(self) -> None:
        """Load the model for the first time, and keep it running from then on.

        Raises:
            ModelLoadError: the model cannot be loaded; nothing is tried again.
        """
        await self._launch()
        self._supervisor = asyncio.create_task(self._keep_running())

    async def wait_ready(self) -> None:
        """Wait until it answers photos."""
        await self._ready.wait()

    async def logits(self, slots: list[Slot]) -> Array:
        """Return the logits (N, classes) of the photos in N slots, which the caller holds until this has ended.

        Raises:
            ModelDiedError: the process died, or took longer than a batch may take.
            EngineError: the network failed.
        """
        return await self._ask("logits", {"slots": [slot.index for slot in slots]})

    async def explain(self, slot: Slot, classes: list[int]) -> Array:
        """Return where in a photo the network saw each of n classes: heat maps (n, h, w) of 0 to 1.

        Raises:
            ModelDiedError, EngineError: as for ``logits``.
        """
        return await self._ask("explain", {"slots": [slot.index], "classes": classes})

    async def _ask(self, kind: str, fields: dict[str, Any]) -> Array:
        if self._incarnation is None:
            raise ModelDiedError("the model process is being started")
        answer = await self._incarnation.ask(Message(kind, fields), self._recipe.batch_seconds)
        self._deaths_in_a_row = 0
        if answer.kind == "error":
            raise EngineError(answer.fields["reason"])
        return answer.array

    async def stop(self) -> None:
        """End the process for good. What it works on is lost: wait for that before."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        self._ready.clear()
        if self._incarnation is not None:
            await self._incarnation.end()
            self._incarnation = None

    async def _keep_running(self) -> None:
        """Start the next process whenever one has ended."""
        while True:
            if self._incarnation is not None:
                await self._incarnation.gone.wait()
                self._ready.clear()
                code = await self._incarnation.end()
                self._incarnation = None
                logger.error("the model process has ended", extra={"fields": {"exit_code": code}})
            await asyncio.sleep(self._pause())
            self._deaths_in_a_row += 1
            self._telemetry.restarted()
            try:
                await self._launch()
            except ModelLoadError as error:
                logger.error("the model process has not started: %s", error)

    def _pause(self) -> float:
        return float(min(_FIRST_PAUSE * 2 ** min(self._deaths_in_a_row, 10), _LONGEST_PAUSE))

    async def _launch(self) -> None:
        started = time.monotonic()
        try:
            incarnation = await Incarnation.start(self._recipe, self._slots, self._ready.clear)
        except OSError as error:  # no memory, no descriptor: which may be otherwise in a moment
            raise ModelLoadError(f"no process could be started: {error}") from error
        try:
            loaded = await incarnation.first_word(_LOAD_SECONDS)
        except ModelDiedError as error:
            code = await incarnation.end()
            raise ModelLoadError(f"{error}, exit code {code}, while it loaded the model") from error
        except BaseException:
            incarnation.kill()
            await incarnation.end()
            raise
        self._incarnation = incarnation
        self.load_seconds = time.monotonic() - started
        self.batch, self.facts = loaded.fields["batch"], loaded.fields["facts"]
        self._telemetry.engine(self.facts)
        logger.info("the model is ready", extra={"fields": {"seconds": round(self.load_seconds, 1), **self.facts}})
        self._ready.set()
