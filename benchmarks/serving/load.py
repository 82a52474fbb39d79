"""The load client, a process of its own: ``python -m benchmarks.serving.load --port 8080 --clients 32 ...``.

Standard library only, and one callback per packet: it shares the cores with the server that it measures. Connections
are kept alive and have TCP_NODELAY on, as asyncio sets it. Photos are read before the time begins.
"""

import argparse
import asyncio
import contextlib
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Final

from benchmarks.serving.exchanges import HUNG, LOST, REFUSED, Exchange, Load

HOST: Final = "127.0.0.1"
_REFUSED_PAUSE: Final = 0.05
_MOST_CONNECTIONS: Final = 2000


@dataclass(frozen=True)
class Answer:
    """Status and the two headers that a client must heed."""

    status: int
    close: bool
    retry_after: float


class Connection(asyncio.Protocol):
    """One connection, one request at a time on it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiting: asyncio.Future[Answer | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += data
        answer = parse(self._received)
        if answer is not None:
            self._received.clear()
            self._settle(answer)
            if answer.close:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits gets no answer."""
        self._transport = None
        self._settle(None)

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    async def ask(self, request: bytes) -> Answer | None:
        """Send a request; return its answer, None where the connection ended without one."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def _settle(self, answer: Answer | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)


def parse(received: bytearray) -> Answer | None:
    """Return the answer once it is complete; every server here says Content-Length, LitServe and TorchServe too."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    status, *lines = bytes(received[:end]).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(received) < end + 4 + int(headers["content-length"]):
        return None
    protocol, code = status.split(" ")[:2]
    close = headers.get("connection", "").lower() == "close" or protocol == "HTTP/1.0"
    return Answer(int(code), close, float(headers.get("retry-after", 0)))


class Client:
    """Sends photos to one server and keeps what became of each."""

    def __init__(self, port: int, requests: Sequence[bytes], patience: float) -> None:
        """Take the requests, sent in turn; ``patience`` is how many seconds an answer may take."""
        self._port = port
        self._requests: Iterator[bytes] = cycle(requests)
        self._patience = patience
        self.exchanges: list[Exchange] = []

    async def one_by_one(self, until: float) -> None:
        """Send a photo as soon as the last one is answered, until then; a refusal with Retry-After is heeded."""
        connection = Connection()
        while time.monotonic() < until:
            connection, answer = await self._exchange(connection, time.monotonic())
            if answer is not None and answer.status == 503:
                await asyncio.sleep(min(answer.retry_after, max(0.0, until - time.monotonic())))
            elif answer is None:
                await asyncio.sleep(_REFUSED_PAUSE)
        connection.close()

    async def at_rate(self, per_second: float, until: float) -> None:
        """Send photos at random times, so many a second, whether the server keeps up or not (Poisson arrivals)."""
        rng, free = random.Random(0), [Connection()]
        due, running = time.monotonic(), set[asyncio.Task[None]]()
        while (due := due + rng.expovariate(per_second)) < until:
            await asyncio.sleep(due - time.monotonic())
            if len(running) < _MOST_CONNECTIONS:
                task = asyncio.create_task(self._on_free(free, due))
                running.add(task)
                task.add_done_callback(running.discard)
            else:
                self.exchanges.append(Exchange(due, 0.0, REFUSED))
        await asyncio.gather(*running)
        for connection in free:
            connection.close()

    async def _on_free(self, free: list[Connection], due: float) -> None:
        connection, _ = await self._exchange(free.pop() if free else Connection(), due)
        free.append(connection)

    async def _exchange(self, connection: Connection, begun: float) -> tuple[Connection, Answer | None]:
        """Send the next photo, on a new connection where the old one has ended; latency counts from ``begun``."""
        answer, ending = None, LOST
        try:
            async with asyncio.timeout(self._patience):
                if not connection.usable:
                    loop = asyncio.get_running_loop()
                    _, connection = await loop.create_connection(Connection, HOST, self._port)
                answer = await connection.ask(next(self._requests))
        except TimeoutError:
            ending = HUNG
            connection.close()
        except OSError:
            ending = REFUSED
        status = ending if answer is None else answer.status
        self.exchanges.append(Exchange(begun, time.monotonic() - begun, status))
        return connection, answer


def requests_for(photos: Sequence[bytes], path: str) -> list[bytes]:
    """Return a whole HTTP request per photo."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: image/jpeg\r\nContent-Length: "
    return [f"{head}{len(photo)}\r\n\r\n".encode() + photo for photo in photos]


async def load(client: Client, options: argparse.Namespace) -> Load:
    """Run the clients and wait for what is under way at the end, so that nothing is left for who comes next."""
    begun = time.monotonic() + options.warmup
    ended = begun + options.seconds
    cpu = time.process_time()
    if options.rate:
        await client.at_rate(options.rate, ended)
    else:
        await asyncio.gather(*(client.one_by_one(ended) for _ in range(options.clients)))
    share = (time.process_time() - cpu) / (time.monotonic() - begun + options.warmup)
    return Load(begun, ended, client.exchanges, share)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/invocations")
    parser.add_argument("--photos", type=Path, required=True, help="a folder; every .jpg below it is sent")
    parser.add_argument("--clients", type=int, default=1, help="so many send one photo after the other")
    parser.add_argument("--rate", type=float, default=0.0, help="photos a second instead, at random times")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warmup", type=float, default=2.0, help="seconds before, which do not count")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that an answer may take")
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main() -> None:
    """Load the server and write what was seen."""
    options = arguments().parse_args()
    photos = [path.read_bytes() for path in sorted(options.photos.rglob("*.jpg"))]
    random.Random(0).shuffle(photos)
    client = Client(options.port, requests_for(photos, options.path), options.patience)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (hard, hard)
    )  # a thousand connections are more than the usual 1,024 files
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(load(client, options)).save(options.out)


def start(port: int, photos: Path, out: Path, *more: str) -> "subprocess.Popen[bytes]":
    """Start the client in a process of its own; ``more`` are further options."""
    command = ["-m", "benchmarks.serving.load", "--port", str(port), "--photos", str(photos), "--out", str(out), *more]
    return subprocess.Popen([sys.executable, *command], cwd=Path(__file__).parents[2])


def finish(client: "subprocess.Popen[bytes]", out: Path) -> Load:
    """Wait for the client's end and return what it saw.

    Raises:
        RuntimeError: it failed; its traceback is on standard error.
    """
    if client.wait():
        raise RuntimeError(f"the load client ended with exit code {client.returncode}")
    return Load.read(out)


if __name__ == "__main__":
    main()
