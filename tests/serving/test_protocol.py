"""HTTP itself, byte by byte over real connections: what is malformed, slow, endless or too much."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from serving import protocol as protocol_module
from serving import server as server_module
from serving.protocol import Protocol
from tests.serving.front import HEAD, Obedient, Running, assert_error, run, until


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LINGER_SECONDS", 0.01)


MALFORMED = {
    "two lengths": "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcGE",
    "the same length twice": "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": "Content-Length: 3, 3\r\n\r\nabc",
    "a length beside chunks": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks beside a length": "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "another coding": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding before chunks": "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks not last": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": "X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a negative length": "Content-Length: -1\r\n\r\n",
    "a signed length": "Content-Length: +3\r\n\r\nabc",
    "a length beyond numbers": "Content-Length: 99999999999999999999999\r\n\r\nabc",
    "a bare line feed": "X: a\nContent-Length: 3\r\n\r\nabc",
    "a bare carriage return": "X: a\rContent-Length: 3\r\n\r\nabc",
    "a zero byte": "X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "no size of a chunk": "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a chunk beyond numbers": "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nabc",
    "another protocol": "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
    "a web socket": "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a head without end": "X: " + "a" * 400_000,
    "headers without end": "X: a\r\n" * 80_000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_request_that_two_servers_could_read_differently_ends_its_connection(name: str) -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(HEAD + MALFORMED[name] + "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.answer()
        assert_error(answer, 400, "BadRequest")
        assert answer.headers["connection"] == "close"
        assert await client.closed()
        assert service.bodies in ([], [b""])
        assert (await front.ask("/ping")).status == 200

    run(use)


@pytest.mark.parametrize(("begin", "more"), [(b"0\r\nX: ", b"aaaaaa"), (b"0\r\n", b"X: a\r\n"), (b"5;", b"aaaaaa")])
def test_what_stands_beside_a_body_without_end_is_refused(begin: bytes, more: bytes) -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + begin)
        for _ in range(100):  # 600 KB: more than one reading of the socket takes
            client.send(more * 1_000)
        assert_error(await client.answer(), 400, "BadRequest")
        assert await client.closed()
        assert service.bodies == []

    run(use)


def test_a_body_of_many_small_chunks_with_trailers_is_read() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        chunks = b"1;note\r\na\r\n" * 20_000 + b"0\r\nX: a\r\n\r\n"
        client.send(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert (await client.answer()).status == 200
        assert service.bodies == [b"a" * 20_000]

    run(use)


def test_rubbish_instead_of_http_is_refused() -> None:
    async def use(front: Running, _service: Obedient) -> None:
        for rubbish in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\n\r\n",
        ):
            client = await front.connect()
            client.send(rubbish)
            assert_error(await client.answer(), 400, "BadRequest")

    run(use)


def test_a_head_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_module, "HEAD_SECONDS", 0.1)

    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(HEAD)
        assert_error(await client.answer(), 400, "BadRequest")
        assert await client.closed()
        patient = await front.connect()
        patient.post(b"photo")
        assert (await patient.answer()).status == 200
        patient.send(HEAD)
        assert_error(await patient.answer(), 400, "BadRequest")

    run(use)


def test_an_answer_on_its_way_is_not_lost_to_a_head_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol_module, "HEAD_SECONDS", 0.05)

    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(b"photo")
        await until(lambda: service.bodies)
        client.send(HEAD)
        (connection,) = front.server.server_state.connections
        assert isinstance(connection, Protocol)
        await until(lambda: not connection.cycle.keep_alive)  # the head's time is over
        service.go.set()
        assert (await client.answer()).status == 200
        assert await client.closed()

    run(use, at_once=False)


def test_a_connection_on_which_nothing_is_sent_is_closed() -> None:
    async def use(front: Running, _service: Obedient) -> None:
        front.server.config.timeout_keep_alive = 0.05  # type: ignore[assignment]
        client = await front.connect()
        assert await client.closed()

    run(use)


def test_who_is_in_is_served_while_no_descriptor_is_left_for_others(caplog: pytest.LogCaptureFixture) -> None:
    async def use(front: Running, _service: Obedient) -> None:
        client = await front.connect()
        client.get("/ping")
        assert (await client.answer()).status == 200
        with socket.socket() as other:
            other.setblocking(False)
            with no_more_files():
                await asyncio.get_running_loop().sock_connect(other, ("127.0.0.1", front.port))
                await until(lambda: caplog.records)
                client.get("/ping")
                assert (await client.answer()).status == 200
                assert len(caplog.records) < 100  # one a second
            await asyncio.get_running_loop().sock_sendall(other, b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(20):
                assert (await asyncio.get_running_loop().sock_recv(other, 100)).startswith(b"HTTP/1.1 200")

    run(use)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open none; those that are open stay so."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as first:
        lowest = first.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
