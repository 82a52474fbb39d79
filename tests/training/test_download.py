import datetime
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from training.download import ATTEMPTS, download
from training.errors import PhotosError

CONTENT = bytes(range(256)) * 400


class FileServer(http.server.ThreadingHTTPServer):
    """Serves CONTENT over https; ``plan`` says what each request gets, in turn."""

    plan: list[str]
    ranges: list[str | None]
    target = ""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: lost connections are the point of these tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        """Say nothing."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        match self.server.plan.pop(0) if len(self.server.plan) > 1 else self.server.plan[0]:
            case "cut":
                self._send(CONTENT[:70_000], 200, len(CONTENT))
                self.close_connection = True
            case "resume" if wanted is not None:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                self._send(CONTENT[start:], 206, len(CONTENT) - start)
            case "redirect":
                self.send_response(302)
                self.send_header("Location", self.server.target)
                self.end_headers()
            case number if number.isdigit():
                self._send(b"", int(number), 0)
            case "unsized":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(CONTENT)
            case _:
                self._send(CONTENT, 200, len(CONTENT))

    def _send(self, body: bytes, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = FileServer(("127.0.0.1", 0), Handler)
    served.plan, served.ranges = ["whole"], []
    served.socket = context.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def fetch(server: FileServer, tmp_path: Path, max_bytes: int = 1 << 20) -> tuple[bytes, list[str]]:
    said: list[str] = []
    url = f"https://127.0.0.1:{server.server_port}/photos.zip?signature=secret"
    download(url, tmp_path / "got.zip", shown="https://host/photos.zip", say=said.append, max_bytes=max_bytes, pause=0)
    return (tmp_path / "got.zip").read_bytes(), said


def test_a_file_is_downloaded(server: FileServer, tmp_path: Path) -> None:
    assert fetch(server, tmp_path)[0] == CONTENT


def test_a_file_of_unknown_length_is_downloaded(server: FileServer, tmp_path: Path) -> None:
    server.plan = ["unsized"]
    assert fetch(server, tmp_path)[0] == CONTENT


def test_an_interrupted_download_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    server.plan = ["cut", "resume"]
    content, said = fetch(server, tmp_path)
    assert content == CONTENT
    assert server.ranges == [None, "bytes=65536-"]
    assert "interrupted after 65,536 bytes" in said[0]


def test_a_server_that_cannot_resume_sends_everything_again(server: FileServer, tmp_path: Path) -> None:
    server.plan = ["cut", "whole"]
    assert fetch(server, tmp_path)[0] == CONTENT


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.plan = ["503", "429", "whole"]
    assert fetch(server, tmp_path)[0] == CONTENT


def test_a_download_that_keeps_breaking_off_is_an_error(server: FileServer, tmp_path: Path) -> None:
    server.plan = ["cut"]
    with pytest.raises(PhotosError, match=rf"https://host/photos\.zip failed {ATTEMPTS} times") as raised:
        fetch(server, tmp_path)
    assert "secret" not in str(raised.value)
    assert not (tmp_path / "got.zip").exists()


def test_a_file_that_is_not_there_is_an_error_at_once(server: FileServer, tmp_path: Path) -> None:
    server.plan = ["404"]
    with pytest.raises(PhotosError, match="answered 404 Not Found: check the address"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1


@pytest.mark.parametrize("plan", ["whole", "unsized"])
def test_a_file_that_is_too_large_is_refused(server: FileServer, tmp_path: Path, plan: str) -> None:
    server.plan = [plan]
    with pytest.raises(PhotosError, match=r"102,400 bytes; at most|larger than 50,000 bytes"):
        fetch(server, tmp_path, max_bytes=50_000)


def test_a_redirect_to_plain_http_is_refused_before_it_is_followed(server: FileServer, tmp_path: Path) -> None:
    server.plan, server.target = ["redirect", "whole"], "http://127.0.0.1:1/photos.zip"
    with pytest.raises(PhotosError, match="redirects away from https"):
        fetch(server, tmp_path)


def test_a_host_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="failed 4 times, the last time after 0 bytes") as raised:
        download(
            "https://127.0.0.1:1/a.zip?secret", tmp_path / "a", shown="https://x/a.zip", say=lambda _: None, pause=0
        )
    assert "secret" not in str(raised.value)


def test_an_unreadable_address_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match="cannot be downloaded"):
        download("https://", tmp_path / "a", shown="https://", say=lambda _: None, pause=0)
