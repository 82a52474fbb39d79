"""A process of its own for the network, seen from the front: started, asked, watched, and started again when it died.

The front only ever waits for it on the event loop, so /ping answers whatever the network does. A process that dies, or
that answers no more, costs the photos that it was reading; the next one is started by itself.
"""

import asyncio
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from serving.logs import logger
from serving.messages import Array, Launch, Message
from serving.slots import Slot, Slots
from serving.telemetry import Telemetry
from serving.worker import DEFAULT_LOADER

# Compiling and measuring every engine takes under 30 s on two slow cores.
_LOAD_SECONDS: Final = 300.0
# Between a process's death and the next start; doubled after every one that answered nothing.
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
# A killed process is gone in milliseconds; one that is kept by a hanging driver may never be.
_END_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01


class ModelDiedError(Exception):
    """The model process died or was stuck while it worked on this; another one is being started."""


class ModelLoadError(Exception):
    """The model cannot be loaded; the message says why."""


class EngineError(Exception):
    """The network failed on this batch; the process goes on, and has logged the cause."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model process is made.

    Attributes:
        directory: the artifact.
        engine: one of ``contract.serving.ENGINES``.
        environment: what it gets beside the front's: its device.
        batch_seconds: a batch that takes longer is stuck.
        loader: see ``serving.messages.Launch``.
    """

    directory: Path
    engine: str
    batch_seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)
    loader: str = DEFAULT_LOADER


class ModelProcess:
    """The network behind one device, whichever process runs it at the moment. One question at a time."""

    def __init__(self, recipe: Recipe, slots: Slots, telemetry: Telemetry) -> None:
        """Take how to start it, and where its photos are."""
        self._recipe = recipe
        self._slots = slots
        self._telemetry = telemetry
        self._ready = asyncio.Event()
        self._incarnation: _Incarnation | None = None
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
            incarnation = await _Incarnation.start(self._recipe, self._slots, self._ready.clear)
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


class _Incarnation:
    """One process, from its start to its end."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        on_gone: Callable[[], None],
    ) -> None:
        self._process = process
        self._reader, self._writer = streams
        self._on_gone = on_gone
        self._answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._listener = asyncio.create_task(self._listen())
        # It answers nothing any more. It may still exist.
        self.gone = asyncio.Event()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @classmethod
    async def start(cls, recipe: Recipe, slots: Slots, on_gone: Callable[[], None]) -> "_Incarnation":
        """Start the process, in the thread of the event loop: it dies with the thread that started it."""
        ours, theirs = socket.socketpair()
        try:
            process = cls._popen(recipe, slots, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            return cls(process, await asyncio.open_connection(sock=ours), on_gone)
        except BaseException:
            ours.close()
            process.kill()
            process.wait()
            raise

    @staticmethod
    def _popen(recipe: Recipe, slots: Slots, connection: socket.socket) -> "subprocess.Popen[bytes]":
        launch = Launch(
            directory=str(recipe.directory),
            engine=recipe.engine,
            socket=connection.fileno(),
            memory=slots.file,
            slots=slots.count,
            crop=slots.crop,
            loader=recipe.loader,
        )
        return subprocess.Popen(
            [sys.executable, "-m", "serving.worker", launch.as_argument()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **recipe.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=(connection.fileno(), slots.file),
            process_group=0,  # a terminal's Ctrl+C is for the front, which finishes its work with this process
        )

    async def first_word(self, seconds: float) -> Message:
        """Return what it said once it had loaded.

        Raises:
            ModelLoadError: it says why it cannot.
            ModelDiedError: it ended without a word.
        """
        word = await self._next_answer(seconds)
        if word.kind != "ready":
            raise ModelLoadError(word.fields["reason"])
        return word

    async def ask(self, question: Message, seconds: float) -> Message:
        """Return the answer.

        Raises:
            ModelDiedError: there will be none.
        """
        if self.gone.is_set():
            raise ModelDiedError("the model process has ended")
        assert self._answer.done(), "one question at a time"
        self._answer = asyncio.get_running_loop().create_future()
        self._writer.write(question.encode())
        return await self._next_answer(seconds)

    async def _next_answer(self, seconds: float) -> Message:
        done, _ = await asyncio.wait([self._answer], timeout=seconds)
        if done:
            return self._answer.result()
        logger.error("the model process is stuck", extra={"fields": {"seconds": seconds, "pid": self.pid}})
        self._answer.cancel()
        self.kill()
        self._lose()
        raise ModelDiedError(f"the model process was stuck: no answer within {seconds:g} s")

    async def _listen(self) -> None:
        """Hand each answer to whoever asked, until the process has closed its end."""
        try:
            while True:
                message = await Message.receive(self._reader)
                if not self._answer.done():
                    self._answer.set_result(message)
        except (asyncio.IncompleteReadError, OSError):
            if not self._answer.done():
                self._answer.set_exception(ModelDiedError("the model process has ended"))
        finally:
            self._lose()

    def _lose(self) -> None:
        self.gone.set()
        self._on_gone()

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()

    async def end(self) -> int | None:
        """Close the connection, by which a healthy process ends by itself; kill any other. Return the exit code."""
        self._listener.cancel()
        await asyncio.wait([self._listener])
        if not self._answer.done():
            self._answer.cancel()
        self._writer.close()
        if await self._exit_code() is None:
            self.kill()
            await self._exit_code()
        return self._process.returncode

    async def _exit_code(self) -> int | None:
        deadline = time.monotonic() + _END_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        return self._process.returncode
