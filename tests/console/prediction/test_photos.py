import os
import threading
from pathlib import Path

import pytest

from console.prediction import download
from console.prediction.failure import Cause, PhotoError
from console.prediction.photos import read_photo
from console.screen import Screen
from contract.inference import MAX_UPLOAD_BYTES, ErrorCode
from tests.console.prediction.fake_api import JPEG, FakeApi, Told, closed_port


def fails(name: object, screen: Screen, words: str) -> PhotoError:
    with pytest.raises(PhotoError, match=words) as caught:
        read_photo(str(name), screen)
    return caught.value


def test_a_file_is_read_as_it_is(photo: Path, screen: Screen) -> None:
    assert read_photo(str(photo), screen) == JPEG


def test_a_pipe_is_read_too(tmp_path: Path, screen: Screen) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(JPEG,))
    writer.start()
    assert read_photo(str(pipe), screen) == JPEG
    writer.join()


def test_a_file_that_is_not_there_is_told(tmp_path: Path, screen: Screen) -> None:
    assert fails(tmp_path / "none.jpg", screen, "No such file or directory").code == Cause.UNREADABLE


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path, screen: Screen) -> None:
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, of nothing
    assert fails(tmp_path / "film.mp4", screen, "larger than 20 MB").code == ErrorCode.TOO_LARGE


def test_an_address_is_fetched(api: FakeApi, screen: Screen) -> None:
    api.tell(Told(body=JPEG))
    assert read_photo(f"{api.address}/dog.jpg?size=large", screen) == JPEG
    assert api.paths == ["GET /dog.jpg?size=large"]


def test_redirects_are_followed(api: FakeApi, screen: Screen) -> None:
    api.tell(
        Told(302, b"", {"Location": "/two"}), Told(308, b"", {"Location": f"{api.address}/three"}), Told(body=JPEG)
    )
    assert read_photo(f"{api.address}/one", screen) == JPEG
    assert api.paths == ["GET /one", "GET /two", "GET /three"]


def test_redirects_are_not_followed_for_ever(api: FakeApi, screen: Screen) -> None:
    api.tell(Told(302, b"", {"Location": "/again"}))
    fails(f"{api.address}/again", screen, "more than 5 redirects")
    assert len(api.requests) == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.org/a.jpg", "http://[", "http://"])
def test_a_redirect_to_what_is_no_http_address_is_not_followed(api: FakeApi, screen: Screen, location: str) -> None:
    api.tell(Told(302, b"", {"Location": location}))
    assert fails(f"{api.address}/a", screen, "fetched").code == Cause.UNREADABLE
    assert len(api.requests) == 1


def test_the_internet_does_not_lead_into_a_private_network(
    api: FakeApi, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = api.address.replace("127.0.0.1", "localhost")
    known = {"localhost": ["93.184.215.14"], "127.0.0.1": ["127.0.0.1"], "::1": ["::1"]}
    monkeypatch.setattr(download, "addresses", lambda host: known[host])
    api.tell(Told(302, b"", {"Location": f"{api.address}/metadata"}))
    fails(f"{public}/a", screen, "into a private network, to 127.0.0.1: not followed")
    assert api.paths == ["GET /a"]


@pytest.mark.parametrize(
    ("address", "is_global"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fd00::1", False),
        ("fe80::1%lo", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.215.14", True),
    ],
)
def test_private_is_what_the_internet_does_not_have(address: str, is_global: bool) -> None:
    assert download._is_global(address) is is_global


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://example.org/a.jpg", "begin with http"),
        ("s3://bucket/a.jpg", "begin with http"),
        ("file:///etc/passwd", "begin with http"),
        ("http://", "and a host"),
        ("http://[::1", "cannot be fetched"),
        ("http://" + "a" * 70 + ".example/a.jpg", "cannot be fetched"),
    ],
)
def test_an_address_that_cannot_be_fetched_is_told(screen: Screen, address: str, words: str) -> None:
    assert fails(address, screen, words).code == Cause.UNREADABLE


def test_an_address_where_nobody_listens_is_told(screen: Screen) -> None:
    with closed_port() as port:
        error = fails(f"http://127.0.0.1:{port}/a.jpg", screen, "cannot be fetched: .*refused")
    assert error.code == Cause.UNREADABLE


def test_an_address_that_answers_no_photo_is_told(api: FakeApi, screen: Screen) -> None:
    api.tell(Told(404, b"no"))
    fails(f"{api.address}/a", screen, "The address answers 404")
    api.tell(Told(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}))
    assert "address of the photo" in fails(f"{api.address}/a", screen, "that of a web page").hint
    api.tell(Told(drop=True))
    fails(f"{api.address}/a", screen, "cannot be fetched")


def test_a_photo_announced_too_large_is_not_fetched(api: FakeApi, screen: Screen) -> None:
    api.tell(Told(body=JPEG, headers={"Content-Length": str(MAX_UPLOAD_BYTES + 1)}))
    assert fails(f"{api.address}/a", screen, "larger than 20 MB").code == ErrorCode.TOO_LARGE


def test_a_photo_larger_than_announced_is_cut_off(
    api: FakeApi, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_UPLOAD_BYTES", 1000)
    chunk = b"400\r\n" + bytes(1024) + b"\r\n"
    api.tell(Told(body=chunk * 100 + b"0\r\n\r\n", headers={"Transfer-Encoding": "chunked"}))
    assert fails(f"{api.address}/a", screen, "larger than 20 MB").code == ErrorCode.TOO_LARGE


def test_an_address_that_never_ends_is_given_up(api: FakeApi, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SECONDS", -1.0)
    api.tell(Told(body=JPEG))
    fails(f"{api.address}/a", screen, "takes longer than")
