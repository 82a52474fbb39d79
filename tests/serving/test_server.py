"""The server as SageMaker runs it: processes, a real network behind them, and photos as the internet sends them."""

import io
import json
import random
import resource
import signal
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from PIL import Image

from serving.inference import Model, input_fn, output_fn, predict_fn
from serving.server import accept_all, listen, raise_open_files


class Answer(Protocol):
    """As of conftest.py."""

    status: int
    body: Any
    headers: dict[str, str]


class Server(Protocol):
    """As of conftest.py."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer: ...
    def predict(self, photo: bytes, content_type: str = "image/jpeg") -> Answer: ...


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A black-and-white PNG of side x side pixels, all black: a thousandth of its size in memory."""
    squeezed = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    pixels = b"".join(squeezed.compress(row) for _ in range(side)) + squeezed.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def assert_error(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body
    assert answer.body["error"]["message"]
    assert answer.body["error"]["request_id"] == answer.headers["x-amzn-sagemaker-inference-id"]


def assert_alike(body: Any, expected: Any) -> None:
    """Compare two answers; how many photos the network sees at once changes the last digits."""
    found, wanted = body["predictions"], expected["predictions"]
    assert [one["label"] for one in found] == [one["label"] for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_a_photo_gets_the_same_answer_as_from_the_functions_alone(server: Server, model: Model, jpeg: bytes) -> None:
    answer = server.predict(jpeg)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert_alike(answer.body, json.loads(output_fn(predict_fn(input_fn(jpeg, "image/jpeg"), model))))


def variants(picture: Image.Image) -> dict[str, tuple[bytes, str]]:
    """Photos of every legal kind, with their content types."""
    turned = Image.Exif()
    turned[0x0112] = 6
    second = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    transparent = picture.copy()
    transparent.putalpha(Image.linear_gradient("L").resize(picture.size))
    sixteen_bit = Image.new("I;16", picture.size, 40_000)
    return {
        "CMYK JPEG": (encoded(picture.convert("CMYK"), "JPEG"), "image/jpeg"),
        "grey JPEG": (encoded(picture.convert("L"), "JPEG"), "image/jpeg"),
        "progressive JPEG": (encoded(picture, "JPEG", progressive=True), "image/jpeg"),
        "JPEG with a turn": (encoded(picture, "JPEG", exif=turned), "image/jpeg"),
        "16-bit PNG": (encoded(sixteen_bit, "PNG"), "image/png"),
        "palette PNG": (encoded(picture.quantize(64), "PNG", transparency=0), "image/png"),
        "transparent PNG": (encoded(transparent, "PNG"), "image/png"),
        "animated PNG": (encoded(picture, "PNG", save_all=True, append_images=[second]), "image/png"),
        "WebP": (encoded(picture, "WEBP"), "image/webp"),
        "animated WebP": (encoded(picture, "WEBP", save_all=True, append_images=[second]), "image/webp"),
        "transparent WebP": (encoded(transparent, "WEBP"), "image/webp"),
        "one pixel": (encoded(Image.new("RGB", (1, 1)), "PNG"), "image/png"),
        "a thin line": (encoded(Image.new("RGB", (20_000, 1)), "PNG"), "image/png"),
        "a PNG that claims to be a JPEG": (encoded(picture, "PNG"), "image/jpeg"),
    }


def test_photos_of_every_kind_are_predicted(server: Server, picture: Image.Image) -> None:
    for name, (photo, content_type) in variants(picture).items():
        answer = server.predict(photo, content_type)
        assert answer.status == 200, (name, answer.body)
        assert len(answer.body["predictions"]) == 5, name


def test_bytes_that_are_no_photo_are_refused(server: Server, jpeg: bytes, picture: Image.Image) -> None:
    noise = random.Random(0).randbytes(5000)
    rubbish = {
        "noise": noise,
        "text": b"this is no photo",
        "one byte": b"\xff",
        "JPEG, then noise": jpeg[:4] + noise,
        "half a JPEG": jpeg[: len(jpeg) // 2],
        "half a PNG": (whole := encoded(picture, "PNG"))[: len(whole) // 2],
        "GIF": encoded(picture, "GIF"),
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "zeros": bytes(1000),
    }
    for name, body in rubbish.items():
        answer = server.predict(body)
        assert answer.status == 400, (name, answer.body)
        assert_error(answer, 400, "BadImage")


def test_an_empty_body_is_refused(server: Server) -> None:
    assert_error(server.predict(b""), 400, "EmptyBody")


def test_a_wrong_content_type_is_refused(server: Server, jpeg: bytes) -> None:
    assert_error(server.predict(jpeg, "text/plain"), 415, "UnsupportedMediaType")
    assert_error(server.request("POST", "/invocations", jpeg), 415, "UnsupportedMediaType")


def test_a_png_of_900_megapixels_is_refused_fast_and_costs_no_memory(server: Server) -> None:
    photo = bomb(30_000)
    assert len(photo) < 200_000
    process = psutil.Process(server.process.pid)
    before, spent = process.memory_info().rss, process.cpu_times().user
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: server.predict(photo, "image/png"), range(8)))
    assert process.cpu_times().user - spent < 2  # decoding one takes 1.3 s
    assert process.memory_info().rss - before < 50_000_000
    for answer in answers:
        assert_error(answer, 413, "PhotoTooLarge")


def test_the_callers_request_id_is_kept_if_it_is_one(server: Server) -> None:
    name = "X-Amzn-SageMaker-Inference-Id"
    headers = {"Content-Type": "image/jpeg", name: "c0ffee-1"}
    assert server.request("POST", "/invocations", b"", headers).body["error"]["request_id"] == "c0ffee-1"
    headers[name] = '"} forged log line {"'
    assert "forged" not in server.request("POST", "/invocations", b"", headers).body["error"]["request_id"]


def test_requests_at_once_are_all_answered_alike_and_ping_meanwhile(server: Server, jpeg: bytes) -> None:
    alone = server.predict(jpeg).body
    pings: list[int] = []
    with ThreadPoolExecutor(9) as clients:
        answers = [clients.submit(server.predict, jpeg) for _ in range(16)]
        for _ in range(5):
            pings.append(server.request("GET", "/ping").status)
        for answer in answers:
            assert answer.result().status == 200
            assert_alike(answer.result().body, alone)
    assert pings == [200] * 5


def test_every_request_is_one_log_line_of_json_without_the_photo(server: Server, jpeg: bytes) -> None:
    headers = {"Content-Type": "image/jpeg", "X-Amzn-SageMaker-Inference-Id": "look-for-me"}
    server.request("POST", "/invocations", jpeg, headers)
    deadline = time.monotonic() + 60  # the line is written after the answer
    while "look-for-me" not in server.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (found,) = (line for line in lines if line.get("request_id") == "look-for-me")
    assert (found["status"], found["bytes"], found["path"]) == (200, len(jpeg), "/invocations")
    assert not any(line.get("path") == "/ping" for line in lines)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.slow
def test_a_server_told_to_end_answers_what_it_has_begun(
    artifact: Path,
    jpeg: bytes,
    start_server: Callable[[Path], Server],
    wait_until_ready: Callable[[Server], list[int]],
) -> None:
    server = start_server(artifact)
    assert set(wait_until_ready(server)) <= {200, 503}
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")  # it has begun
        server.process.send_signal(signal.SIGTERM)
        while listens(server.port):  # until it is ending
            time.sleep(0.01)
        connection.sendall(jpeg)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert server.process.wait(30) == 0


def test_a_model_that_cannot_be_loaded_ends_the_server_with_the_cause(
    tmp_path: Path, start_server: Callable[[Path], Server]
) -> None:
    server = start_server(tmp_path)
    assert server.process.wait(300) == 1
    assert "model.json is missing" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("PEDIGREE_ENGINE", "fastest", "one of auto"), ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "soon", "a whole number")],
)
def test_a_server_does_not_start_with_a_variable_that_it_cannot_follow(
    artifact: Path,
    start_server: Callable[[Path], Server],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    expected: str,
) -> None:
    monkeypatch.setenv(name, value)
    server = start_server(artifact)
    assert server.process.wait(300) == 1
    log = server.log.read_text()
    assert f"{name}={value!r}: {expected}" in log
    assert "Traceback" not in log


def test_a_port_that_is_taken_is_told() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", listener.getsockname()[1])


def test_connections_that_wait_at_a_listener_are_taken_before_it_closes() -> None:
    with listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        clients = [socket.create_connection(address) for _ in range(5)]
        try:
            accepted = accept_all(listener)
            assert {one.getpeername() for one in accepted} == {client.getsockname() for client in clients}
            assert accept_all(listener) == []
            for one in accepted:
                one.close()
        finally:
            for client in clients:
                client.close()


def test_as_many_files_may_be_open_as_the_system_lets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        assert raise_open_files() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
