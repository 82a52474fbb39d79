"""The load client against a server that does as it is told."""

import argparse
import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace

import pytest

from benchmarks.serving import load as load_client
from benchmarks.serving.exchanges import HUNG, LOST, REFUSED, Load
from benchmarks.serving.load import Client, arguments, load, parse, requests_for

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
HOUR = 3600.0
Handle = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Clock:
    """The client's clock, which a test puts forward: a load lasts an hour, or until then, however slow the machine."""

    def __init__(self) -> None:
        self._forward = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._forward

    def end_the_load(self) -> None:
        self._forward += HOUR


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(load_client, "time", SimpleNamespace(monotonic=made.monotonic, process_time=time.process_time))
    return made


class Told:
    """A server that answers the requests, in the order of their coming, as it was told; the last goes on."""

    def __init__(self, *answers: Handle) -> None:
        self._answers = answers
        self.bodies: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.split("Content-Length: ")[1].split("\r\n")[0])
                body = await reader.readexactly(length)
                answer = self._answers[min(len(self.bodies), len(self._answers) - 1)]
                self.bodies.append(body)
                await answer(body, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def says(answer: bytes) -> Handle:
    async def handle(body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return handle


def ends(clock: Clock, answer: bytes = OK) -> Handle:
    """Return what answers when the time of the load is over."""

    async def handle(body: bytes, writer: asyncio.StreamWriter) -> None:
        clock.end_the_load()
        writer.write(answer)

    return handle


async def hang_up(body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


def run(server: Told, *words: str, photos: Sequence[bytes] = (b"one", b"two")) -> Load:
    """Load the server with the client that the command line asks for."""

    async def both() -> Load:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        seen = await load(*client_for(port, words, photos))
        listening.close()
        return seen

    return asyncio.run(both())


def client_for(port: int, words: Sequence[str], photos: Sequence[bytes]) -> tuple[Client, argparse.Namespace]:
    fixed = ["--port", str(port), "--photos", "x", "--out", "x", "--warmup", "0", "--seconds", str(HOUR)]
    options = arguments().parse_args([*fixed, *words])
    return Client(port, requests_for(photos, options.path), options.patience), options


def test_photos_are_sent_in_turn_on_one_connection_that_is_kept(clock: Clock) -> None:
    server = Told(*[says(OK)] * 5, ends(clock))
    seen = run(server)
    assert server.bodies == [b"one", b"two"] * 3
    assert server.connections == 1
    assert (len(seen.exchanges), len(seen.answered)) == (6, 5)
    assert not seen.failures


def test_so_many_clients_send_at_the_same_time(clock: Clock) -> None:
    met = asyncio.Barrier(8)

    async def meet(body: bytes, writer: asyncio.StreamWriter) -> None:
        await met.wait()  # nobody is answered before eight have asked
        writer.write(OK)

    server = Told(*[meet] * 8, ends(clock))
    seen = run(server, "--clients", "8")
    assert server.connections == 8
    assert len(seen.exchanges) >= 8
    assert not seen.failures


def test_what_is_under_way_at_the_end_is_waited_for_and_does_not_count(clock: Clock) -> None:
    async def slow(body: bytes, writer: asyncio.StreamWriter) -> None:
        clock.end_the_load()
        await asyncio.sleep(0.1)
        writer.write(OK)

    seen = run(Told(slow))
    assert [one.status for one in seen.exchanges] == [200]
    assert seen.answered == []


def test_a_connection_that_ends_without_an_answer_is_a_lost_request_and_the_client_goes_on(clock: Clock) -> None:
    seen = run(Told(hang_up, ends(clock)))
    assert [one.status for one in seen.exchanges] == [LOST, 200]


def test_an_answer_that_does_not_come_is_a_hung_request(clock: Clock) -> None:
    async def never(body: bytes, writer: asyncio.StreamWriter) -> None:
        clock.end_the_load()
        await asyncio.sleep(60)

    seen = run(Told(never), "--patience", "0.1")
    assert {one.status for one in seen.exchanges} == {HUNG}
    assert min(one.seconds % HOUR for one in seen.exchanges) >= 0.1


def test_where_nobody_listens_nothing_is_lost_but_refused(clock: Clock) -> None:
    async def alone(port: int) -> Load:
        client, options = client_for(port, [], [b"one"])
        loading = asyncio.create_task(load(client, options))
        while not client.exchanges:
            await asyncio.sleep(0.01)
        clock.end_the_load()
        return await loading

    with socket.socket() as silent:  # has a port, so that nobody else gets it, and does not listen
        silent.bind((load_client.HOST, 0))
        seen = asyncio.run(alone(silent.getsockname()[1]))
    assert {one.status for one in seen.exchanges} == {REFUSED}


def test_a_client_that_is_told_to_come_back_later_does(clock: Clock) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0.2\r\n\r\n"
    seen = run(Told(says(busy), ends(clock)))
    first, second = seen.exchanges
    assert (first.status, second.status) == (503, 200)
    assert second.begun - first.ended >= 0.2
    assert seen.failures == {"503": 1}


def test_a_server_that_closes_after_its_answer_gets_a_new_connection(clock: Clock) -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    server = Told(says(closing), says(closing), ends(clock, closing))
    seen = run(server)
    assert server.connections == len(seen.exchanges) == 3
    assert not seen.failures


def test_at_a_given_rate_photos_are_sent_whether_the_server_keeps_up_or_not() -> None:
    async def slow(body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(OK)

    server = Told(slow)
    seen = run(server, "--rate", "100", "--seconds", "0.3")
    assert server.connections > 8  # of about 30 none is answered before the last is sent
    assert {one.status for one in seen.exchanges} == {200}


def test_latency_at_a_given_rate_counts_from_when_a_photo_was_due() -> None:
    async def blocked(body: bytes, writer: asyncio.StreamWriter) -> None:
        time.sleep(0.02)
        writer.write(OK)

    seen = run(Told(blocked), "--rate", "200", "--seconds", "0.3")
    assert max(one.seconds for one in seen.exchanges) > 0.1


def test_an_answer_in_parts_is_complete_with_its_last_byte() -> None:
    assert parse(bytearray(OK[:-1])) is None
    assert parse(bytearray(b"HTTP/1.1 200 OK\r\n")) is None
    whole = parse(bytearray(OK))
    assert whole is not None
    assert whole.status == 200


def test_a_request_is_http_with_the_photos_length() -> None:
    (request,) = requests_for([b"photo"], "/predict")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /predict HTTP/1.1\r\n")
    assert b"Content-Length: 5" in head
    assert body == b"photo"


def test_a_server_that_says_no_length_is_no_server_for_this_client(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seen = run(Told(ends(clock, b"HTTP/1.1 200 OK\r\n\r\n{}")))
    assert {one.status for one in seen.exchanges} == {LOST}
    assert "content-length" in caplog.text
