"""The HTTP front over real connections, before a service that answers when it is told to."""

import asyncio
import socket
from contextlib import suppress

import pytest

from contract.inference import ErrorCode, InferenceError
from contract.serving import Serving
from serving import app as app_module
from serving import exchange as exchange_module
from serving import server as server_module
from serving.admission import Admission
from serving.app import Front
from serving.limits import Limits
from serving.protocol import Protocol
from serving.telemetry import Telemetry
from tests.serving.front import HEAD, Obedient, Running, assert_error, run, running, until

# So long a server lingers at most where a test says when it is over.
LINGER = 20.0


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_LINGER_SECONDS", 0.01)


async def taken(front: Running, places: int) -> None:
    """Wait until so many requests hold a place: it is taken and given back when the server reads of it."""
    async with asyncio.timeout(20):
        while f"pedigree_queue_requests {places:.1f}\n" not in (await front.ask("/metrics")).body.decode():
            pass


def test_ping_is_200_only_while_the_service_is_ready() -> None:
    async def use(front: Running, service: Obedient) -> None:
        answer = await front.ask("/ping")
        assert (answer.status, answer.body) == (200, {"status": "ready"})
        service.ready = False
        refused = await front.ask("/ping")
        assert_error(refused, 503, "ModelUnavailable")
        assert refused.headers["retry-after"] == "4"

    run(use)


def test_no_part_of_an_answer_waits_until_the_client_has_acknowledged_another() -> None:
    async def use(front: Running, _service: Obedient) -> None:
        await front.ask("/ping")
        (connection,) = front.server.server_state.connections
        assert isinstance(connection, Protocol)
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    run(use)


def test_the_model_s_version_is_told_by_ping_and_in_every_answer() -> None:
    package = "arn:aws:sagemaker:eu-west-1:1:model-package/dogs/3"

    async def use(front: Running, _service: Obedient) -> None:
        answer = await front.ask("/ping")
        assert answer.body == {"status": "ready", "model": package}
        client = await front.connect()
        client.post(b"photo")
        assert (await client.answer()).headers["x-pedigree-model"] == package

    run(use, Limits(model_package=package))


def test_body_query_and_custom_attributes_reach_the_service() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(b"photo", "X-Amzn-SageMaker-Custom-Attributes: explain=true\r\n", "/invocations?top=3")
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, {"bytes": 5})
        assert service.bodies == [b"photo"]
        assert service.options == [("top", "3"), ("explain", "true")]

    run(use)


def test_a_connection_serves_many_requests_and_requests_sent_ahead() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        for size in (1, 200_000, 3):
            client.post(bytes(size))
        assert [(await client.answer()).body["bytes"] for _ in range(3)] == [1, 200_000, 3]

    run(use)


def test_a_full_server_refuses_before_it_reads_the_body_and_the_client_may_ask_again() -> None:
    async def use(front: Running, service: Obedient) -> None:
        first, second = await front.connect(), await front.connect()
        first.post(b"first")
        await until(lambda: service.bodies)
        second.send(f"{HEAD}Content-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")
        refused = await second.answer()
        assert_error(refused, 503, "ModelUnavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["connection"] == "close"
        third = await front.connect()
        third.post(bytes(3_000_000))
        assert_error(await third.answer(), 503, "ModelUnavailable")
        service.go.set()
        assert (await first.answer()).status == 200
        third.post(b"again")
        assert (await third.answer()).status == 200
        assert service.bodies == [b"first", b"again"]

    run(use, Limits(serving=Serving(queue_photos=1)), at_once=False)


def test_bodies_hold_only_so_much_memory_whether_their_length_is_declared_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_module, "Admission", lambda requests: Admission(requests, 1_000_000))

    async def use(front: Running, service: Obedient) -> None:
        first, second, third = [await front.connect() for _ in range(3)]
        first.post(bytes(600_000))
        await until(lambda: service.bodies)
        second.post(bytes(600_000))
        assert_error(await second.answer(), 503, "ModelUnavailable")
        third.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(6):
            third.send(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        third.send(b"0\r\n\r\n")
        assert_error(await third.answer(), 503, "ModelUnavailable")
        service.go.set()
        assert (await first.answer()).status == 200
        second.post(bytes(600_000))
        assert (await second.answer()).status == 200

    run(use, at_once=False)


def test_a_place_is_given_back_however_a_request_ends() -> None:
    admission = Admission(2, 100)
    with admission.enter(40) as place:
        place.grow(90)
        assert (admission.taken, admission.bytes_taken) == (1, 90)
        with pytest.raises(InferenceError, match="90 bytes"):
            place.grow(101)
        with pytest.raises(InferenceError):
            admission.enter(11)
        assert (admission.taken, admission.bytes_taken) == (1, 90)
        place.grow(10)  # less than it has
    assert (admission.taken, admission.bytes_taken) == (0, 0)


@pytest.mark.parametrize("how", ["hang_up", "abort"])
def test_a_client_that_hangs_up_frees_its_place(how: str) -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(b"photo")
        await until(lambda: service.bodies)
        getattr(client, how)()
        await until(lambda: service.cancelled)
        await taken(front, 0)
        service.go.set()
        other = await front.connect()
        other.post(b"other")
        assert (await other.answer()).status == 200

    run(use, Limits(serving=Serving(queue_photos=1)), at_once=False)


def test_a_client_that_hangs_up_in_the_middle_of_its_body_frees_its_place() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(f"{HEAD}Content-Length: 100\r\n\r\nhalf")
        await taken(front, 1)
        other = await front.connect()
        other.post(b"other")
        assert (await other.answer()).status == 503
        client.hang_up()
        await taken(front, 0)
        other.post(b"other")
        assert (await other.answer()).status == 200
        assert service.bodies == [b"other"]

    run(use, Limits(serving=Serving(queue_photos=1)))


def test_a_body_that_does_not_come_frees_its_place_and_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0.1)

    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(f"{HEAD}Content-Length: 100\r\n\r\nhalf")
        answer = await client.answer()
        assert_error(answer, 408, "RequestTimeout")
        assert answer.headers["connection"] == "close"
        assert await client.closed()
        other = await front.connect()
        other.post(b"other")
        assert (await other.answer()).status == 200

    run(use, Limits(serving=Serving(queue_photos=1)))


def test_a_body_that_comes_steadily_is_given_time_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(app_module, "_BODY_BYTES_PER_SECOND", 1)

    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(f"{HEAD}Content-Length: 80\r\n\r\n".encode() + bytes(60))  # in one piece, which is read at once
        await asyncio.sleep(0.2)
        client.send(bytes(20))
        assert (await client.answer()).status == 200

    run(use)


def test_a_request_without_an_answer_in_time_is_given_up() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(b"photo")
        answer = await client.answer()
        assert_error(answer, 503, "ModelUnavailable")
        assert "within 1 s" in answer.body["error"]["message"]
        assert service.cancelled == 1

    run(use, Limits(serving=Serving(timeout_seconds=1)), at_once=False)


def test_a_body_over_the_limit_is_refused_declared_or_not() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(bytes(2000))
        assert_error(await client.answer(), 413, "PhotoTooLarge")
        client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n7d0\r\n".encode() + bytes(2000) + b"\r\n0\r\n\r\n")
        assert_error(await client.answer(), 413, "PhotoTooLarge")
        assert service.bodies == []

    run(use, Limits(body_bytes=1000))


def test_a_body_without_end_is_read_for_a_while_and_then_the_connection_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "_DRAIN_BYTES", 300_000)

    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            client.send(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        answer = await client.answer()
        assert_error(answer, 413, "PhotoTooLarge")
        assert answer.headers["connection"] == "close"
        assert await client.closed()

    run(use, Limits(body_bytes=1000))


def test_a_transform_job_is_told_how_to_ask() -> None:
    async def use(front: Running, _service: Obedient) -> None:
        answer = await front.ask("/execution-parameters")
        said = answer.body
        assert said["BatchStrategy"] == "SINGLE_RECORD"
        assert said["MaxConcurrentTransforms"] * said["MaxPayloadInMB"] <= 100
        assert said["MaxConcurrentTransforms"] == 5

    run(use, Limits(serving=Serving(queue_photos=5)))


def test_what_was_answered_is_counted_by_route_and_error_and_strangers_paths_are_not() -> None:
    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(b"photo")
        await client.answer()
        service.error = InferenceError(ErrorCode.BAD_IMAGE, "no photo")
        client.post(b"rubbish")
        await client.answer()
        service.error = RuntimeError("secret")
        client.post(b"bug")
        failed = await client.answer()
        assert_error(failed, 500, "InternalError")
        assert "secret" not in str(failed.body)
        await front.ask("/secret-path")
        page = (await front.ask("/metrics")).body.decode()
        for labels in (
            'code="OK",path="/invocations",status="200"',
            'code="BadImage",path="/invocations",status="400"',
            'code="InternalError",path="/invocations",status="500"',
            'code="NotFound",path="other",status="404"',
        ):
            assert f"pedigree_requests_total{{{labels}}} 1.0" in page, page
        assert "secret" not in page
        assert "pedigree_ready 1.0" in page
        assert "pedigree_queue_requests 0.0" in page
        assert 'path="/ping"' not in page

    run(use)


def test_wrong_methods_and_paths_are_refused() -> None:
    async def use(front: Running, _service: Obedient) -> None:
        wrong = await front.ask("/invocations")
        assert_error(wrong, 405, "MethodNotAllowed")
        assert wrong.headers["allow"] == "POST"
        assert_error(await front.ask("/models"), 404, "NotFound")

    run(use)


def test_an_ending_server_takes_in_who_has_connected_and_answers_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    lingered, sleep = asyncio.Event(), asyncio.sleep

    async def linger(seconds: float) -> None:
        if seconds != LINGER:
            await sleep(seconds)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(lingered.wait(), seconds)

    monkeypatch.setattr(server_module, "_LINGER_SECONDS", LINGER)
    monkeypatch.setattr(asyncio, "sleep", linger)

    async def session() -> None:
        service, front = Obedient(), Front(telemetry=Telemetry())
        async with running(service, front) as at_work:
            busy, idle, uploading = [await at_work.connect() for _ in range(3)]
            busy.post(b"busy")
            uploading.send(f"{HEAD}Content-Length: 9\r\n\r\n")
            await until(lambda: service.bodies)
            at_work.server.should_exit = True
            await until(lambda: front.ending.begun)
            with pytest.raises(ConnectionRefusedError):
                await at_work.connect()
            idle.post(b"idle")  # it could not know yet
            uploading.send(b"uploading")
            await until(lambda: len(service.bodies) == 3)
            lingered.set()
            service.go.set()
            for client in (busy, idle, uploading):
                answer = await client.answer()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert await client.closed()

    asyncio.run(session())


def test_what_takes_longer_than_the_ending_lasts_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_ANSWER_SECONDS", 0.1)

    async def use(front: Running, service: Obedient) -> None:
        client = await front.connect()
        client.post(b"photo")
        await until(lambda: service.bodies)
        front.server.should_exit = True
        answer = await client.answer()
        assert_error(answer, 503, "ModelUnavailable")
        assert "ending" in answer.body["error"]["message"]

    run(use, at_once=False)
