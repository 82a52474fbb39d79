"""The front door's handler: every wrong request and every trouble of the endpoint gets its own clear answer."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from contract.inference import MAX_PHOTO_BYTES, STATUS, ErrorCode
from infra.front_door import endpoint as endpoint_module
from infra.front_door import handler
from tests.infra.front_door.events import KEY, event

JPEG = b"\xff\xd8\xff\xe0" + b"0" * 100
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100
WEBP = b"RIFF0000WEBPVP8 " + b"0" * 100
ANSWER = json.dumps({"predictions": [{"label": "Boxer", "probability": 0.97}], "confident": False})


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client(
        "sagemaker-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setenv("ENDPOINT_NAME", "pedigree-dev")
    monkeypatch.setattr(endpoint_module, "runtime", lambda: client)
    with Stubber(client) as stub:
        yield stub


def asked(body: bytes, kind: str) -> dict[str, Any]:
    """Return what the endpoint is to be asked."""
    return {"EndpointName": "pedigree-dev", "Body": body, "ContentType": kind, "Accept": "application/json"}


def refused(given: dict[str, Any], code: ErrorCode) -> dict[str, Any]:
    """Return the answer to a request after checking that it is an error of our shape."""
    response = handler.handle(given, None)
    assert response["statusCode"] == STATUS[code], response
    error = json.loads(response["body"])["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == "r-1"
    assert response["headers"]["X-Request-Id"] == "r-1"
    return response


@pytest.mark.parametrize(("photo", "kind"), [(JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp")])
def test_a_photo_gets_the_endpoint_s_answer(endpoint: Stubber, photo: bytes, kind: str) -> None:
    endpoint.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(ANSWER.encode()), len(ANSWER)), "ContentType": "application/json"},
        asked(photo, kind),
    )
    response = handler.handle(event(body=photo, content_type=kind), None)
    assert response["statusCode"] == 200
    assert json.loads(response["body"]) == json.loads(ANSWER)


def test_a_photo_s_real_type_counts_not_the_one_it_claims(endpoint: Stubber) -> None:
    endpoint.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(b"{}"), 2)},
        asked(PNG, "image/png"),
    )
    assert handler.handle(event(body=PNG, content_type="image/jpeg; charset=binary"), None)["statusCode"] == 200


def test_the_page_asks_what_the_stage_s_settings_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_HEADING", "Which rose is it?")
    monkeypatch.setenv("PAGE_LEAD", "Show it a rose.")
    response = handler.handle(event("/", method="GET"), None)
    assert response["headers"]["Content-Type"] == "text/html; charset=utf-8"
    html = base64.b64decode(response["body"]).decode()
    assert "<h1>Which rose is it?</h1>" in html
    assert "<p>Show it a rose.</p>" in html


@pytest.mark.parametrize("body", [None, b""])
def test_an_empty_body_is_a_400(body: bytes | None) -> None:
    refused(event(body=body), ErrorCode.EMPTY_BODY)


def test_an_upload_that_is_not_announced_is_told_what_to_send() -> None:
    told = refused(event("/uploads", body=b"", content_type="application/json"), ErrorCode.EMPTY_BODY)["body"]
    assert '{"bytes": 5000000, "content_type": "image/jpeg"}' in json.loads(told)["error"]["message"]


@pytest.mark.parametrize("kind", [None, "", "text/plain", "image/gif", "image"])
def test_another_content_type_is_a_415_that_names_the_right_ones(kind: str | None) -> None:
    assert "image/webp" in refused(event(body=JPEG, content_type=kind), ErrorCode.UNSUPPORTED_TYPE)["body"]


@pytest.mark.parametrize("body", [b"rubbish", b"GIF89a" + b"0" * 50, b"\xff\xd8", b"RIFF0000WAVE"])
def test_bytes_that_are_no_photo_are_a_400(body: bytes) -> None:
    refused(event(body=body), ErrorCode.BAD_IMAGE)


def test_a_body_that_is_no_base64_is_a_400() -> None:
    refused(event(body=JPEG) | {"body": "not base64!"}, ErrorCode.BAD_REQUEST)


def test_a_body_that_came_as_text_is_a_400() -> None:
    refused(event(body=JPEG) | {"body": "\ufffd\ufffd", "isBase64Encoded": False}, ErrorCode.BAD_IMAGE)


def test_a_photo_over_the_limit_is_a_413() -> None:
    refused(event(body=JPEG + b"0" * MAX_PHOTO_BYTES), ErrorCode.TOO_LARGE)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_another_method_is_a_405_that_names_the_right_one(method: str) -> None:
    assert refused(event(method=method), ErrorCode.METHOD_NOT_ALLOWED)["headers"]["Allow"] == "POST"


@pytest.mark.parametrize("headers", [None, {}])
def test_missing_headers_are_no_crash(headers: dict[str, str] | None) -> None:
    refused(event(body=JPEG) | {"headers": headers}, ErrorCode.UNSUPPORTED_TYPE)


def _model_error(stub: Stubber, status: int, message: str) -> None:
    stub.add_client_error(
        "invoke_endpoint",
        "ModelError",
        "Received client error (400) from primary",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": "arn:secret"},
    )


@pytest.mark.parametrize("code", [ErrorCode.BAD_IMAGE, ErrorCode.TOO_LARGE, ErrorCode.UNSUPPORTED_TYPE])
def test_what_the_model_says_against_a_photo_is_passed_on(endpoint: Stubber, code: ErrorCode) -> None:
    told = {"error": {"code": code, "message": "too many pixels: 900,000,000", "request_id": "inner"}}
    _model_error(endpoint, STATUS[code], json.dumps(told))
    assert "too many pixels" in refused(event(body=JPEG), code)["body"]


@pytest.mark.parametrize("message", ["", "no JSON", "[]", '{"error": {"code": "Unheard", "message": "x"}}'])
def test_a_client_error_in_another_shape_is_a_bad_photo(endpoint: Stubber, message: str) -> None:
    _model_error(endpoint, 400, message)
    refused(event(body=JPEG), ErrorCode.BAD_IMAGE)


@pytest.mark.parametrize("status", [503, 429])
def test_a_model_that_is_not_ready_is_a_503_with_a_time(endpoint: Stubber, status: int) -> None:
    _model_error(endpoint, status, "loading")
    assert int(refused(event(body=JPEG), ErrorCode.UNAVAILABLE)["headers"]["Retry-After"]) > 0


def test_a_model_s_crash_is_a_500_without_details(endpoint: Stubber) -> None:
    _model_error(endpoint, 500, 'Traceback: File "/opt/ml/model/code/x.py"')
    body = refused(event(body=JPEG), ErrorCode.INTERNAL)["body"]
    assert "Traceback" not in body
    assert "arn:secret" not in body


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationError", "Endpoint pedigree-dev of account 123 not found."),
        ("ServiceUnavailable", "unavailable"),
        ("ThrottlingException", "Rate exceeded"),
        ("ModelNotReadyException", "not ready"),
        ("InternalDependencyException", "dependency"),
    ],
)
def test_an_endpoint_that_cannot_answer_now_is_a_503_with_a_time(endpoint: Stubber, code: str, message: str) -> None:
    endpoint.add_client_error("invoke_endpoint", code, message)
    assert refused(event(body=JPEG), ErrorCode.UNAVAILABLE)["headers"]["Retry-After"]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationError"])
def test_an_error_of_our_own_is_a_500_without_details(endpoint: Stubber, code: str) -> None:
    endpoint.add_client_error("invoke_endpoint", code, "user arn:aws:iam::123 is not authorized")
    assert "arn:" not in refused(event(body=JPEG), ErrorCode.INTERNAL)["body"]


class _Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def invoke_endpoint(self, **request: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error", [ReadTimeoutError(endpoint_url="https://x"), ConnectTimeoutError(endpoint_url="https://x")]
)
def test_an_endpoint_that_does_not_answer_is_a_503(
    endpoint: Stubber, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(endpoint_module, "runtime", lambda: _Broken(error))
    refused(event(body=JPEG), ErrorCode.UNAVAILABLE)


def test_an_unforeseen_error_is_a_500_and_stands_in_the_log(
    endpoint: Stubber, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint_module, "runtime", lambda: _Broken(RuntimeError("a bug")))
    assert "a bug" not in refused(event(body=JPEG), ErrorCode.INTERNAL)["body"]
    assert "a bug" in caplog.text


def test_neither_photos_nor_keys_are_logged(endpoint: Stubber, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="pedigree")
    endpoint.add_client_error("invoke_endpoint", "AccessDeniedException", "no")
    handler.handle(event(body=JPEG), None)
    assert KEY not in caplog.text
    assert base64.b64encode(JPEG).decode() not in caplog.text
    assert '"status": 500' in caplog.text
    assert '"request_id": "r-1"' in caplog.text


def test_the_client_gives_up_before_the_gateway_does() -> None:
    assert endpoint_module._READ_SECONDS + 2 < 29


OURS, THEIRS = "https://ours.example", "https://theirs.example"


def shared(**given: Any) -> dict[str, str]:
    """Return the headers by which a browser lets other pages read an answer."""
    headers = handler.handle(event(**given), None)["headers"]
    return {name: value for name, value in headers.items() if name.startswith("Access-Control-")}


@pytest.mark.parametrize(("origins", "told"), [(OURS, OURS), (f"https://x.example {OURS}", OURS), ("*", "*")])
def test_a_page_of_an_origin_of_the_settings_may_ask_with_its_key_and_read_errors_too(
    monkeypatch: pytest.MonkeyPatch, origins: str, told: str
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    asked = event(method="OPTIONS", headers={"Origin": OURS})
    assert handler.handle(asked, None)["statusCode"] == 204
    for headers in (shared(method="OPTIONS", headers={"Origin": OURS}), shared(body=b"", headers={"Origin": OURS})):
        assert headers["Access-Control-Allow-Origin"] == told
        assert "POST" in headers["Access-Control-Allow-Methods"]
        assert {"content-type", "x-api-key"} == set(headers["Access-Control-Allow-Headers"].split(", "))
        assert "retry-after" in headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origins", ["", OURS])
def test_a_page_of_another_origin_may_read_nothing(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    assert shared(method="OPTIONS", headers={"Origin": THEIRS}) == {}
    assert shared(body=b"", headers={"Origin": THEIRS}) == {}
