"""An API on loopback that answers what it is told to, and keeps what it was asked."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from console.prediction.api import Api

JPEG = b"\xff\xd8\xff\xe0 a photo"
BOXER: dict[str, Any] = {"predictions": [{"label": "Boxer", "probability": 0.97}]}


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int  # of the client: one port is one connection


@dataclass(frozen=True)
class Told:
    """One answer; ``drop``: the connection is closed instead."""

    status: int = 200
    body: Any = field(default_factory=lambda: BOXER)
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    before: Callable[[], object] | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class FakeApi:
    """Answers what it was told, in order; the last answer is given for ever."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.script: list[Told] = [Told()]
        handler = type("Handler", (_Handler,), {"api": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def api(self) -> Api:
        return Api(self.address, "secret")

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    def tell(self, *script: Told) -> None:
        self.script = list(script)

    def next(self) -> Told:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class _Handler(BaseHTTPRequestHandler):
    api: ClassVar[FakeApi]
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Return what answers ``do_GET``, ``do_PUT`` and so on: one and the same."""
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(size), self.client_address[1])
        self.api.requests.append(asked)
        told = self.api.next()
        if told.before is not None:
            told.before()
        if told.drop:
            self.close_connection = True
            return
        self.send_response(told.status)
        length = {} if "Transfer-Encoding" in told.headers else {"Content-Length": str(len(told.content))}
        for name, value in (length | dict(told.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told.content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextmanager
def running() -> Iterator[FakeApi]:
    api = FakeApi()
    try:
        yield api
    finally:
        api.server.shutdown()
        api.server.server_close()


@contextmanager
def closed_port() -> Iterator[int]:
    """Give a port on which nobody listens, and which nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
