"""One model process, from its start to its end: asked, listened to, killed where it must be.

What becomes of the next one is ``serving.model_process``'s matter.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from serving.logs import logger
from serving.messages import Launch, Message
from serving.slots import Slots
from serving.worker import DEFAULT_LOADER

# A killed process is gone in milliseconds; one that is kept by a hanging driver may never be.
_END_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01


class ModelDiedError(Exception):
    """The model process died or was stuck while it worked on this; another one is being started."""


class ModelLoadError(Exception):
    """The model cannot be loaded; the message says why."""


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


class Incarnation:
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
    async def start(cls, recipe: Recipe, slots: Slots, on_gone: Callable[[], None]) -> "Incarnation":
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
