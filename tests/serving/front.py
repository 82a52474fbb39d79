"""The HTTP front on a real port in this process, before a service that does what a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from serving.app import Front, build_app
from serving.limits import Limits
from serving.protocol import Protocol
from serving.server import Server, listen

HEAD = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"


@dataclass
class Obedient:
    """A service that answers when it is told to.

    Attributes:
        go: it waits for this.
        bodies: what it was asked.
        cancelled: how many requests were given up.
    """

    ready: bool = True
    retry_after: int = 4
    error: Exception | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: list[bytes] = field(default_factory=list)
    options: list[tuple[str, str]] = field(default_factory=list)
    cancelled: int = 0

    async def answer(
        self, body: bytes | bytearray, content_type: str | None, options: Iterable[tuple[str, str]]
    ) -> bytes:
        self.bodies.append(bytes(body))
        self.options = list(options)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return json.dumps({"bytes": len(body)}).encode()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """One connection, spoken to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes | str) -> None:
        self._writer.write(data.encode() if isinstance(data, str) else data)

    def post(self, body: bytes, headers: str = "", path: str = "/invocations") -> None:
        head = HEAD.replace("/invocations", path) + headers + f"Content-Length: {len(body)}\r\n\r\n"
        self.send(head.encode() + body)

    def get(self, path: str) -> None:
        self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")

    async def answer(self) -> Answer:
        """Return the next response."""
        async with asyncio.timeout(20):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        is_json = headers.get("content-type") == "application/json"
        return Answer(int(first.split()[1]), headers, json.loads(body) if is_json else body)

    async def closed(self) -> bool:
        """Wait until the server closes; nothing more may come."""
        async with asyncio.timeout(20):
            try:
                return await self._reader.read() == b""
            except ConnectionError:  # a reset, or where this side still sends a broken pipe: who is first is luck
                return True

    def hang_up(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()


@dataclass(frozen=True)
class Running:
    """A front at work."""

    server: Server
    port: int
    clients: list[Client]

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, path: str) -> Answer:
        client = await self.connect()
        client.get(path)
        return await client.answer()


@asynccontextmanager
async def running(service: Obedient, front: Front | None = None) -> AsyncIterator[Running]:
    """Serve ``service`` until the end of the block."""
    front = front or Front()
    config = uvicorn.Config(
        build_app(service, front), http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    with listen("127.0.0.1", 0) as listener:
        server = Server(config, front.ending, listener)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        at_work = Running(server, listener.getsockname()[1], [])
        while not server.started:
            await asyncio.sleep(0.001)
        try:
            yield at_work
        finally:
            service.go.set()
            for client in at_work.clients:
                client.abort()
            server.should_exit = True
            await serving


async def until(condition: Any) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def run(
    use: Callable[[Running, Obedient], Awaitable[None]], limits: Limits | None = None, *, at_once: bool = True
) -> None:
    """Let ``use`` speak to a front; ``at_once``: its service answers without being told."""

    async def session() -> None:
        service = Obedient()
        if at_once:
            service.go.set()
        async with running(service, Front(limits or Limits())) as front:
            await use(front, service)

    asyncio.run(session())


def assert_error(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body
