import json
import threading
from collections.abc import Iterator

import httpx
import pytest

from console.prediction.api import Api, Client
from console.prediction.failure import Cause, PhotoError
from console.prediction.patience import ATTEMPTS, Patience
from console.stacks import Deployed
from contract.front_door import Upload
from contract.inference import (
    MAX_PHOTO_BYTES,
    MAX_UPLOAD_BYTES,
    Answer,
    ErrorCode,
    Explanation,
    InferenceError,
    Options,
    Prediction,
)
from tests.console.fakes import FakeCloud
from tests.console.prediction.fake_api import BOXER, JPEG, FakeApi, Told, closed_port

LARGE = JPEG + bytes(MAX_PHOTO_BYTES)


@pytest.fixture
def client(api: FakeApi, patience: Patience) -> Iterator[Client]:
    with Client(api.api, patience) as client:
        yield client


def refused(code: ErrorCode, **headers: str) -> Told:
    refusal = InferenceError(code, "because of this")
    return Told(refusal.status, refusal.body("request-1"), {name.replace("_", "-"): v for name, v in headers.items()})


def uploads_to(address: str) -> Told:
    return Told(201, Upload("an-id", f"{address}/store?signed=yes", {"Content-Type": "image/jpeg", "x-a": "b"}).body())


def test_a_photo_is_posted_with_its_type_and_the_key(api: FakeApi, client: Client) -> None:
    assert client.predict(JPEG, Options()) == Answer([Prediction("Boxer", 0.97)])
    request = api.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/predict", JPEG)
    assert (request.headers["content-type"], request.headers["x-api-key"]) == ("image/jpeg", "secret")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
    ],
)
def test_the_type_is_that_of_the_first_bytes(api: FakeApi, client: Client, content: bytes, kind: str) -> None:
    client.predict(content, Options())
    assert api.requests[0].headers["content-type"] == kind


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"GIF89a", ErrorCode.BAD_IMAGE, "no JPEG, PNG, WebP or HEIC photo"),
        (b"GIF89a" + bytes(MAX_PHOTO_BYTES), ErrorCode.BAD_IMAGE, "no JPEG, PNG, WebP or HEIC photo"),
        (b"", ErrorCode.EMPTY_BODY, "nothing in it"),
    ],
)
def test_a_file_that_is_no_photo_is_said_to_be_none_and_not_sent(
    api: FakeApi, client: Client, content: bytes, code: ErrorCode, said: str
) -> None:
    with pytest.raises(PhotoError, match=said) as caught:
        client.predict(content, Options())
    assert (caught.value.code, api.requests) == (code, [])


def test_options_go_along_as_a_query(api: FakeApi, client: Client) -> None:
    explained = Answer([Prediction("Boxer", 1.0)], True, Explanation("Boxer", b"picture"))
    api.tell(Told(body=explained.body()))
    assert client.predict(JPEG, Options(3, explain=True)) == explained
    assert api.paths == ["POST /predict?top=3&explain=true"]


def test_photos_share_one_connection(api: FakeApi, client: Client) -> None:
    for _ in range(3):
        client.predict(JPEG, Options())
    assert len({request.port for request in api.requests}) == 1


def test_a_large_photo_is_uploaded_first(api: FakeApi, client: Client) -> None:
    api.tell(uploads_to(api.address), Told(body=b""), Told())
    assert client.predict(LARGE, Options(2)).predictions[0].label == "Boxer"
    assert api.paths == ["POST /uploads", "PUT /store?signed=yes", "POST /predict"]
    announced, sent, question = api.requests
    assert json.loads(announced.body) == {"bytes": len(LARGE), "content_type": "image/jpeg"}
    assert sent.body == LARGE
    assert (sent.headers["content-type"], sent.headers["x-a"]) == ("image/jpeg", "b")
    assert "x-api-key" not in sent.headers
    assert json.loads(question.body) == {"upload": "an-id", "top": 2}
    assert question.headers["x-api-key"] == "secret"


def test_the_largest_photo_of_a_request_is_not_uploaded(api: FakeApi, client: Client) -> None:
    client.predict(LARGE[:MAX_PHOTO_BYTES], Options())
    assert api.paths == ["POST /predict"]


def test_a_photo_that_no_upload_takes_is_not_sent(api: FakeApi, client: Client) -> None:
    with pytest.raises(PhotoError, match="larger than 20 MB") as caught:
        client.predict(bytes(MAX_UPLOAD_BYTES + 1), Options())
    assert (caught.value.code, api.requests) == (ErrorCode.TOO_LARGE, [])


def test_an_upload_that_is_refused_says_so_and_tells_nobody_its_signature(api: FakeApi, client: Client) -> None:
    api.tell(uploads_to(api.address), Told(403, b"<Error>AccessDenied</Error>"))
    with pytest.raises(PhotoError, match="could not be uploaded: S3 answered 403") as caught:
        client.predict(LARGE, Options())
    assert caught.value.code == Cause.UPLOAD
    with closed_port() as port:
        api.tell(uploads_to(f"http://127.0.0.1:{port}"))
        with pytest.raises(PhotoError, match="/store does not answer") as caught:
            client.predict(LARGE, Options())
    assert "signed" not in caught.value.message


def test_an_upload_is_sent_again_where_the_store_is_busy(api: FakeApi, client: Client, pauses: list[float]) -> None:
    api.tell(uploads_to(api.address), Told(503, b"<Error>SlowDown</Error>"), Told(body=b""), Told())
    client.predict(LARGE, Options())
    assert api.requests[2].body == LARGE
    assert len(pauses) == 1


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_of_the_api_is_told_with_its_message_and_what_to_do(
    api: FakeApi, client: Client, code: ErrorCode
) -> None:
    api.tell(refused(code))
    with pytest.raises(PhotoError) as caught:
        client.predict(JPEG, Options())
    error = caught.value
    assert f"because of this ({InferenceError(code, '').status} {code}, request request-1" in error.message
    assert error.hint
    assert error.body() == {"error": {"code": code, "message": "because of this", "request_id": "request-1"}}


@pytest.mark.parametrize("code", [ErrorCode.TOO_MANY_REQUESTS, ErrorCode.UNAVAILABLE])
def test_a_busy_api_is_asked_again(api: FakeApi, client: Client, pauses: list[float], code: ErrorCode) -> None:
    api.tell(refused(code, Retry_After="2"), refused(code), Told())
    assert client.predict(JPEG, Options()).predictions[0].label == "Boxer"
    assert pauses == [2.5, 2.0]
    assert [request.body for request in api.requests] == [JPEG] * 3


def test_an_api_that_stays_busy_is_told_with_how_often_it_was_asked(api: FakeApi, client: Client) -> None:
    api.tell(refused(ErrorCode.UNAVAILABLE))
    with pytest.raises(PhotoError, match=f"asked {ATTEMPTS} times"):
        client.predict(JPEG, Options())
    assert len(api.requests) == ATTEMPTS


def test_a_wait_that_is_too_long_is_told_and_not_waited_for(api: FakeApi, client: Client, pauses: list[float]) -> None:
    api.tell(refused(ErrorCode.TOO_MANY_REQUESTS, Retry_After="3600"))
    with pytest.raises(PhotoError) as caught:
        client.predict(JPEG, Options())
    assert "left alone for 3600 s" in caught.value.hint
    assert (len(api.requests), pauses) == (1, [])


@pytest.mark.parametrize(
    "code", [code for code in ErrorCode if code not in (ErrorCode.TOO_MANY_REQUESTS, ErrorCode.UNAVAILABLE)]
)
def test_nothing_else_is_asked_again(api: FakeApi, client: Client, pauses: list[float], code: ErrorCode) -> None:
    api.tell(refused(code, Retry_After="1"))
    with pytest.raises(PhotoError):
        client.predict(JPEG, Options())
    assert (len(api.requests), pauses) == (1, [])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, b"<html>Bad Gateway</html>"),
        (500, b"[]"),
        (403, b'{"message": "Forbidden"}'),
        (200, b"<html>a page</html>"),
        (200, b"[1, 2]"),
        (200, b'{"answers": []}'),
        (200, b'{"predictions": []}'),
        (200, b'{"predictions": {"label": "Boxer"}}'),
        (200, b'{"predictions": [{"label": "Boxer"}]}'),
        (200, b'{"predictions": [{"label": "Boxer", "probability": "sure"}]}'),
        (200, b'{"predictions": [{"label": "Boxer", "probability": NaN}]}'),
        (200, b'{"predictions": [{"label": "Boxer", "probability": 97}]}'),
        (200, json.dumps(BOXER | {"explanation": {"label": "Boxer", "data": "?"}}).encode()),
    ],
)
def test_an_answer_that_is_not_the_apis_own_is_shown(api: FakeApi, client: Client, status: int, body: bytes) -> None:
    api.tell(Told(status, body, {"X-Request-Id": "request-2"}))
    with pytest.raises(PhotoError, match=f"The API answered {status}: ") as caught:
        client.predict(JPEG, Options())
    assert (caught.value.code, caught.value.request_id) == (Cause.NOT_UNDERSTOOD, "request-2")
    assert body.decode() in caught.value.message


def test_an_upload_place_that_is_none_is_shown(api: FakeApi, client: Client) -> None:
    api.tell(Told(body={"upload": "an-id"}))
    with pytest.raises(PhotoError, match="The API answered 200"):
        client.predict(LARGE, Options())


def test_an_api_that_does_not_answer_is_asked_once_more_for_the_first_photo_alone(
    patience: Patience, pauses: list[float]
) -> None:
    with closed_port() as port, Client(Api(f"http://127.0.0.1:{port}", "secret"), patience) as client:
        for _ in range(3):
            with pytest.raises(PhotoError, match="/predict does not answer") as caught:
                client.predict(JPEG, Options())
            assert (caught.value.code, caught.value.request_id) == (Cause.UNREACHABLE, None)
    assert len(pauses) == 1


def test_a_connection_that_is_lost_with_the_photo_on_its_way_is_not_asked_again(api: FakeApi, client: Client) -> None:
    api.tell(Told(drop=True))
    with pytest.raises(PhotoError, match="does not answer"):
        client.predict(JPEG, Options())
    assert len(api.requests) == 1


def test_an_api_that_is_too_slow_is_given_up(
    api: FakeApi, patience: Patience, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.prediction.api._TIMEOUT", httpx.Timeout(10.0, read=0.05))
    may_answer = threading.Event()
    api.tell(Told(before=lambda: may_answer.wait(10)))
    with Client(api.api, patience) as client, pytest.raises(PhotoError, match="does not answer: timed out"):
        client.predict(JPEG, Options())
    may_answer.set()
    assert pauses == []


@pytest.mark.parametrize("url", ["https://api/prod", "https://api/prod/", "https://api/prod/predict"])
def test_the_api_is_found_whichever_way_its_address_is_written(cloud: FakeCloud, url: str) -> None:
    cloud.stub("apigateway").add_response("get_api_key", {"value": "secret"}, {"apiKey": "k", "includeValue": True})
    assert Api.of(cloud, Deployed("b", "s", "e", url, "k")) == Api("https://api/prod", "secret")
