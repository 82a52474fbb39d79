"""The smoke test's function, against a stubbed bucket and a small API of its own."""

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from contract.inference import MAX_PHOTO_BYTES
from infra.smoke_test import handler

PREFIX = "prepared/job/output/model/test/"
KEY = f"{PREFIX}002.Border_collie/b_1.jpg"
GOOD = (200, {"predictions": [{"label": "Border collie", "probability": 0.9}]})


class Api(BaseHTTPRequestHandler):
    """Answers what it was told, one answer after the other, and keeps what it got."""

    answers: ClassVar[list[tuple[int, Any]]] = []
    got: ClassVar[list[tuple[str | None, str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.headers["x-api-key"], self.headers["Content-Type"], body))
        status, answer = self.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        """Keep the test's output clean."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    Api.answers, Api.got = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("API_URL", f"http://127.0.0.1:{server.server_port}/predict")
    monkeypatch.setenv("API_KEY_ID", "key-id")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setattr(handler, "_PAUSE_SECONDS", 0)
    yield Api
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stubber]:
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {name: boto3.client(name, **keys) for name in ("s3", "apigateway", "sagemaker-runtime")}  # type: ignore[call-overload]  # named at run time
    made = {name: Stubber(client) for name, client in clients.items()}
    for stub in made.values():
        stub.activate()
    monkeypatch.setattr(boto3, "client", lambda name, config=None: clients[name])
    return made


def stub_photo(stubs: dict[str, Stubber], *others: dict[str, Any]) -> None:
    """One photo in the bucket, the one that must be chosen, and the key's value."""
    listed = {"Contents": [*others, {"Key": KEY, "Size": 3}], "IsTruncated": False}
    stubs["s3"].add_response("list_objects_v2", listed, {"Bucket": "bucket", "Prefix": PREFIX})
    photo = {"Body": StreamingBody(io.BytesIO(b"abc"), 3)}
    stubs["s3"].add_response("get_object", photo, {"Bucket": "bucket", "Key": KEY})
    stubs["apigateway"].add_response("get_api_key", {"value": "secret"}, {"apiKey": "key-id", "includeValue": True})


def call() -> dict[str, Any]:
    return handler.handle({"prepared_uri": "s3://bucket/prepared/job/output/model/"}, None)


def test_a_test_photo_is_predicted_through_the_api_with_the_key(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    api.answers = [GOOD]
    assert call() == {
        "photo": f"s3://bucket/{KEY}",
        "true": "Border collie",
        "predicted": "Border collie",
        "probability": 0.9,
    }
    assert api.got == [("secret", "image/jpeg", b"abc")]


def test_what_the_api_would_not_take_is_not_chosen(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(
        stubs,
        {"Key": f"{PREFIX}001.Boxer/huge.jpg", "Size": MAX_PHOTO_BYTES + 1},
        {"Key": f"{PREFIX}001.Boxer/notes.txt", "Size": 5},
        {"Key": f"{PREFIX}001.Boxer/", "Size": 0},
    )
    api.answers = [GOOD]
    assert call()["photo"].endswith("b_1.jpg")


@pytest.mark.parametrize("status", [503, 429])
def test_a_passing_state_is_waited_out(api: type[Api], stubs: dict[str, Stubber], status: int) -> None:
    stub_photo(stubs)
    api.answers = [(status, {"error": {}}), GOOD]
    assert call()["predicted"] == "Border collie"


@pytest.mark.parametrize("answers", [[(500, {"error": {"code": "InternalError"}})], [(503, {"error": {}})] * 4])
def test_an_error_of_the_api_is_told_with_its_answer(
    api: type[Api], stubs: dict[str, Stubber], answers: list[tuple[int, Any]]
) -> None:
    stub_photo(stubs)
    api.answers = list(answers)
    with pytest.raises(handler.SmokeTestError, match=rf"predict answered {answers[0][0]}: .*error"):
        call()
    assert not api.answers


@pytest.mark.parametrize("answer", [{"predictions": []}, {}, [], "x"])
def test_an_answer_without_a_prediction_is_an_error(api: type[Api], stubs: dict[str, Stubber], answer: Any) -> None:
    stub_photo(stubs)
    api.answers = [(200, answer)]
    with pytest.raises(handler.SmokeTestError, match="answered no prediction"):
        call()


def test_an_api_that_cannot_be_reached_is_an_error(
    api: type[Api], stubs: dict[str, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub_photo(stubs)
    monkeypatch.setenv("API_URL", "http://127.0.0.1:9/predict")
    with pytest.raises(handler.SmokeTestError, match=r"failed: .*refused"):
        call()


def test_a_set_without_test_photos_is_an_error(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stubs["s3"].add_response("list_objects_v2", {"IsTruncated": False})
    with pytest.raises(handler.SmokeTestError, match=f"no photo .* below s3://bucket/{PREFIX}"):
        call()


def test_the_key_stands_in_no_error(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    api.answers = [(403, {"error": {"code": "Forbidden"}})]
    with pytest.raises(handler.SmokeTestError) as caught:
        call()
    assert "secret" not in str(caught.value)


def test_tls_trusts_the_bundle_that_boto3_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(FileNotFoundError):
        handler.tls()


ENDPOINT = {"prepared_uri": "s3://bucket/prepared/job/output/model/", "endpoint_name": "pedigree-dev-1"}
ASKED = {"EndpointName": "pedigree-dev-1", "Body": b"abc", "ContentType": "image/jpeg", "Accept": "application/json"}


def answered(body: bytes) -> dict[str, Any]:
    return {"Body": StreamingBody(io.BytesIO(body), len(body)), "ContentType": "application/json"}


def model_error(stubs: dict[str, Stubber], status: int, message: str) -> None:
    stubs["sagemaker-runtime"].add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received server error from primary",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": message},
        expected_params=ASKED,
    )


def test_an_event_that_names_an_endpoint_asks_it_without_the_api(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    body = json.dumps({"predictions": [{"label": "Boxer", "probability": 0.5}]}).encode()
    stubs["sagemaker-runtime"].add_response("invoke_endpoint", answered(body), ASKED)
    assert handler.handle(ENDPOINT, None)["predicted"] == "Boxer"
    assert not api.got


def test_a_model_s_error_is_told_at_once_in_its_words(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    model_error(stubs, 500, "boom")
    with pytest.raises(handler.SmokeTestError, match="the endpoint pedigree-dev-1 answered 500: boom"):
        handler.handle(ENDPOINT, None)


def test_a_model_that_is_loading_is_waited_for(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    model_error(stubs, 503, "still loading")
    body = json.dumps({"predictions": [{"label": "Boxer", "probability": 0.5}]}).encode()
    stubs["sagemaker-runtime"].add_response("invoke_endpoint", answered(body), ASKED)
    assert handler.handle(ENDPOINT, None)["predicted"] == "Boxer"


def test_an_endpoint_that_may_not_be_asked_is_an_error(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    denied = "is not authorized to perform: sagemaker:InvokeEndpoint"
    stubs["sagemaker-runtime"].add_client_error(
        "invoke_endpoint", "AccessDeniedException", denied, http_status_code=403
    )
    with pytest.raises(handler.SmokeTestError, match=r"answered 403: .*is not authorized"):
        handler.handle(ENDPOINT, None)


def test_an_endpoint_without_a_prediction_is_an_error(api: type[Api], stubs: dict[str, Stubber]) -> None:
    stub_photo(stubs)
    stubs["sagemaker-runtime"].add_response("invoke_endpoint", answered(b"[]"), ASKED)
    with pytest.raises(handler.SmokeTestError, match="the endpoint pedigree-dev-1 answered no prediction"):
        handler.handle(ENDPOINT, None)
