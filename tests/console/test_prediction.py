import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.commands import app
from console.errors import ConsoleError
from console.prediction.api import Api, content_type, predict
from console.stacks import Deployed
from contract.inference import Answer, ErrorCode, InferenceError, Prediction
from tests.console.fakes import FakeCloud

JPEG = b"\xff\xd8\xff\xe0 a photo"


class _Handler(BaseHTTPRequestHandler):
    status = 200
    answer: bytes = b""
    requests: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append({"path": self.path, "body": body, **{k.lower(): v for k, v in self.headers.items()}})
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Server:
    """An API that answers what it is told to."""

    def __init__(self) -> None:
        self.handler: type[_Handler] = type("Handler", (_Handler,), {"requests": []})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.api = Api(f"http://127.0.0.1:{self.server.server_port}/predict", "secret")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answers(self, status: int, body: Any) -> None:
        self.handler.status = status
        self.handler.answer = body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    return tmp_path / "photo.jpg"


def test_a_photo_is_posted_with_its_type_and_the_key(server: Server, photo: Path) -> None:
    server.answers(200, {"predictions": [{"label": "Boxer", "probability": 0.97}]})
    assert predict(server.api, photo) == Answer([Prediction("Boxer", 0.97)])
    request = server.handler.requests[0]
    assert (request["path"], request["body"]) == ("/predict", JPEG)
    assert (request["content-type"], request["x-api-key"]) == ("image/jpeg", "secret")


def test_an_answer_that_the_model_is_not_sure_of_is_told_so_in_words(
    server: Server, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "of", lambda cloud, deployed: server.api)
    monkeypatch.setattr("console.commands.deployed", lambda cloud: None)
    monkeypatch.setattr("console.commands._require_running", lambda console: None)
    said = {}
    for confident in (True, False):
        server.answers(200, Answer([Prediction("Boxer", 0.4)], confident).body())
        said[confident] = CliRunner().invoke(app, ["predict", str(photo)]).output
    assert "Not sure: this may be nothing that the model knows" in said[False]
    assert "Not sure" not in said[True]


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_of_the_api_is_told_with_its_message_and_what_to_do(
    server: Server, photo: Path, code: ErrorCode
) -> None:
    refusal = InferenceError(code, "because of this")
    server.answers(refusal.status, refusal.body("request-1"))
    with pytest.raises(ConsoleError, match="because of this") as caught:
        predict(server.api, photo)
    assert f"({refusal.status} {code}, request request-1)" in caught.value.message
    assert str(photo) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"[]", b'{"message": "Forbidden"}'])
def test_an_answer_that_is_not_the_apis_own_is_shown(server: Server, photo: Path, body: bytes) -> None:
    server.answers(502, body)
    with pytest.raises(ConsoleError, match="the API answered 502"):
        predict(server.api, photo)


def test_an_api_that_does_not_answer_is_no_traceback(photo: Path) -> None:
    with pytest.raises(ConsoleError, match="does not answer"):
        predict(Api("http://127.0.0.1:1/predict", "secret"), photo)


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match=r"none\.jpg: No such file"):
        predict(Api("http://127.0.0.1:1/predict", "secret"), tmp_path / "none.jpg")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_type_is_read_from_the_content(content: bytes, kind: str) -> None:
    assert content_type(content) == kind


@pytest.mark.parametrize("url", ["https://api/prod", "https://api/prod/", "https://api/prod/predict"])
def test_the_api_is_found_whichever_way_its_address_is_written(cloud: FakeCloud, url: str) -> None:
    cloud.stub("apigateway").add_response("get_api_key", {"value": "secret"}, {"apiKey": "k", "includeValue": True})
    assert Api.of(cloud, Deployed("b", "s", "e", url, "k")) == Api("https://api/prod/predict", "secret")
