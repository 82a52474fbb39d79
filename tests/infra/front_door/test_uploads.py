"""Where large photos go, and how they come back."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.front_door import Upload
from contract.inference import MAX_UPLOAD_BYTES
from infra.front_door import handler
from infra.front_door.uploads import uploaded
from tests.infra.front_door.aws import Aws
from tests.infra.front_door.events import event


def post(fields: Any) -> tuple[int, dict[str, Any]]:
    body = json.dumps(fields).encode()
    response = handler.handle(event("/uploads", body=body, content_type="application/json"), None)
    return response["statusCode"], json.loads(response["body"])


@pytest.mark.usefixtures("aws")
def test_an_address_is_signed_for_one_name_size_and_type_and_a_quarter_of_an_hour() -> None:
    status, body = post({"bytes": 5_000_000, "content_type": "image/jpeg"})
    assert status == 200
    upload = Upload.read(body)
    url = urlsplit(upload.url)
    query = parse_qs(url.query)
    assert (url.scheme, url.path) == ("https", f"/uploads/{upload.upload}")
    assert set(query["X-Amz-SignedHeaders"][0].split(";")) == {"content-length", "content-type", "host"}
    assert query["X-Amz-Expires"] == ["900"]
    assert upload.headers == {"Content-Type": "image/jpeg"}


@pytest.mark.usefixtures("aws")
def test_no_two_uploads_have_one_name() -> None:
    names = {post({"bytes": 1, "content_type": "image/png"})[1]["upload"] for _ in range(20)}
    assert len(names) == 20
    assert {len(name) for name in names} == {24}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("fields", "status", "told"),
    [
        ({"bytes": MAX_UPLOAD_BYTES + 1, "content_type": "image/jpeg"}, 413, "20000000"),
        ({"bytes": 0, "content_type": "image/jpeg"}, 400, "bytes"),
        ({"bytes": True, "content_type": "image/jpeg"}, 400, "bytes"),
        ({"bytes": "5", "content_type": "image/jpeg"}, 400, "bytes"),
        ({"content_type": "image/jpeg"}, 400, "bytes"),
        ({"bytes": 5}, 415, "content_type"),
        ({"bytes": 5, "content_type": "text/html"}, 415, "image/webp"),
        ({"bytes": 5, "content_type": ["image/jpeg"]}, 415, "content_type"),
        ({"bytes": 5, "content_type": "image/jpeg", "key": "../x"}, 400, "unknown field 'key'"),
        ([], 400, "object"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_by_name(fields: Any, status: int, told: str) -> None:
    refused, body = post(fields)
    assert refused == status
    assert told in body["error"]["message"]


def test_what_was_sent_comes_back(aws: Aws) -> None:
    aws.holds(f"uploads/{'a' * 24}", b"photo")
    assert uploaded("a" * 24) == b"photo"


def predict(name: str) -> tuple[int, str]:
    body = json.dumps({"upload": name}).encode()
    response = handler.handle(event(body=body, content_type="application/json"), None)
    return response["statusCode"], json.loads(response["body"])["error"]["message"]


def test_an_upload_to_which_nothing_was_sent_is_a_404(aws: Aws) -> None:
    aws.lacks(f"uploads/{'a' * 24}")
    status, message = predict("a" * 24)
    assert status == 404
    assert "nothing was sent to its address" in message


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ["", "../production/model.json", "a" * 23, "a" * 23 + "/", "a" * 999])
def test_a_name_that_no_upload_has_is_a_404_without_looking(name: str) -> None:
    assert predict(name)[0] == 404
