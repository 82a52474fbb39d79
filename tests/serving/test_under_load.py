"""The server's processes under many clients: none starves /ping, none is lost when it ends. The network obeys."""

import http.client
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from PIL import Image

from contract.names import ArtifactFile
from contract.serving import Variable
from serving.server import raise_open_files
from tests.serving.obedient import BATCHES, HOLD

ROOT = Path(__file__).parents[2]
CLIENTS = 24
CONNECTIONS = 1000
# What SageMaker waits for the answer to a ping.
PING_SECONDS = 2.0


@dataclass(frozen=True)
class Process:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    port: int
    directory: Path

    def ping(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_SECONDS)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture
def obedient_server(artifact: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    directory = Path(shutil.copytree(artifact, tmp_path / "model", ignore=shutil.ignore_patterns(ArtifactFile.WEIGHTS)))
    with ExitStack() as stack:

        def start(**variables: str) -> Process:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            given = {"SM_MODEL_DIR": str(directory), "SAGEMAKER_BIND_TO_PORT": str(port), "PYTHONPATH": str(ROOT)}
            log = stack.enter_context((tmp_path / "log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.serving.obedient_server"],
                cwd=ROOT,
                env={**os.environ, **given, **variables},
                stderr=log,
            )
            stack.callback(process.wait, 30)
            stack.callback(process.kill)
            server = Process(process, port, directory)
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    if server.ping() == 200:
                        return server
                except OSError:
                    pass
                time.sleep(0.05)
            raise AssertionError((tmp_path / "log").read_text())

        yield start


def photo() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((256, 200), 40).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Tally:
    """What became of many clients' requests."""

    answered: int = 0
    refused_connections: int = 0
    unanswered: list[str] = field(default_factory=list)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.01)


def ask_until_refused(port: int, body: bytes, tally: Tally) -> None:
    """Send request after request, on a new connection whenever the server ends one, until nobody listens any more."""
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            tally.refused_connections += 1
            return
        with connection, connection.makefile("rb") as reader:
            ends = False
            while not ends:
                try:
                    connection.sendall(head.encode() + body)
                    status = reader.readline()
                    headers = http.client.parse_headers(reader)
                    reader.read(int(headers.get("content-length", 0)))
                except (OSError, http.client.HTTPException) as error:
                    tally.unanswered.append(repr(error))
                    return
                if not status.startswith(b"HTTP/1.1 200 "):
                    tally.unanswered.append(repr(status))
                    return
                tally.answered += 1
                ends = headers.get("connection") == "close"


@pytest.mark.slow
def test_a_server_that_is_told_to_end_under_load_loses_no_request(obedient_server: Callable[..., Process]) -> None:
    server, body = obedient_server(), photo()
    tallies = [Tally() for _ in range(CLIENTS)]
    clients = [threading.Thread(target=ask_until_refused, args=(server.port, body, tally)) for tally in tallies]
    for client in clients:
        client.start()
    wait_for(lambda: sum(tally.answered for tally in tallies) > CLIENTS)
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join(60)
    assert server.process.wait(25) == 0
    assert [tally.unanswered for tally in tallies] == [[]] * CLIENTS
    assert sum(tally.refused_connections for tally in tallies) == CLIENTS


@pytest.mark.slow
def test_a_server_that_is_told_to_end_while_the_network_hangs_still_ends_in_time(
    obedient_server: Callable[..., Process],
) -> None:
    server, body = obedient_server(), photo()
    (server.directory / HOLD).touch()
    with ThreadPoolExecutor(1) as threads:
        tally = Tally()
        asking = threads.submit(ask_until_refused, server.port, body, tally)
        # The network works on it; the first batch was no client's.
        wait_for(lambda: len((server.directory / BATCHES).read_text().splitlines()) == 2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(25) == 0
        asking.result(30)
    (answer,) = tally.unanswered
    assert " 503 " in answer


@pytest.mark.slow
def test_ping_answers_in_time_beside_1000_idle_connections_and_1000_waiting_posts(
    obedient_server: Callable[..., Process],
) -> None:
    raise_open_files()  # on many machines a process may have 1024 until it asks for more
    server, body = obedient_server(**{Variable.QUEUE_PHOTOS: "64"}), bytes(2_000_000)
    (server.directory / HOLD).touch()
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    with ExitStack() as stack:
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(CONNECTIONS)]
        posts = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(CONNECTIONS)]
        for one in (*idle, *posts):
            stack.callback(one.close)
        for post in posts:
            post.sendall(head.encode() + body[:200_000])  # and never the rest
        statuses = [server.ping() for _ in range(20)]
        grown = process.memory_info().rss - before
    assert statuses == [200] * 20
    # 64 places of 2 MB; for the others what uvicorn holds before anybody reads, 64 KiB and one read of 256 KiB each.
    assert grown < 64 * 2_000_000 + CONNECTIONS * (65_536 + 262_144)
    (server.directory / HOLD).unlink()
    wait_for(lambda: server.ping() == 200)
    server.process.terminate()
    assert server.process.wait(25) == 0
