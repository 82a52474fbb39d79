"""What the endpoint is asked: every way of sending a photo, and every wrong one."""

import base64
import json
from typing import Any

import pytest

from contract.inference import MAX_PHOTO_BYTES, ErrorCode, InferenceError
from infra.front_door.question import Question, question_of
from infra.front_door.request import Request
from tests.infra.front_door.events import event

JPEG = b"\xff\xd8\xff\xe0" + b"\r\n--photo\x00" * 10
HEIC = b"\x00\x00\x00\x18ftypheic" + b"0" * 50


def no_upload(name: str) -> bytes:
    raise AssertionError(f"{name} was fetched")


def question(body: bytes, content_type: str = "image/jpeg", query: str = "") -> Question:
    return question_of(Request.of(event(body=body, content_type=content_type, query=query)), no_upload)


def refusal(body: bytes, content_type: str = "image/jpeg", query: str = "") -> InferenceError:
    with pytest.raises(InferenceError) as refused:
        question(body, content_type, query)
    return refused.value


def form(*parts: tuple[str, bytes], boundary: str = "photo") -> tuple[bytes, str]:
    """Return a form of header lines with contents, and its content type."""
    pieces = [f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data for head, data in parts]
    return b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def test_options_of_the_query_become_custom_attributes() -> None:
    assert question(JPEG, query="top=3&explain=true") == Question(JPEG, "image/jpeg", "top=3;explain=true")
    assert question(JPEG).attributes == ""


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("top=0", "top=0: a whole number from 1"),
        ("top=x", "top='x'"),
        ("top=1&top=2", "top is given twice"),
        ("explain=maybe", "explain='maybe': true or false"),
        ("size=3", "unknown option 'size': there are top and explain"),
        ("top=3;explain=true", "top='3;explain=true'"),
    ],
)
@pytest.mark.parametrize(("body", "kind"), [(JPEG, "image/jpeg"), (b'{"photo": ""}', "application/json")])
def test_a_wrong_option_is_refused_by_name_however_the_photo_comes(
    query: str, told: str, body: bytes, kind: str
) -> None:
    error = refusal(body, kind, query)
    assert error.code is ErrorCode.BAD_REQUEST
    assert told in error.message


def test_heic_is_left_to_the_model_s_machine() -> None:
    assert question(HEIC, "image/jpeg").content_type == "image/heic"


def test_a_form_s_file_is_the_photo_byte_for_byte_and_its_fields_are_options() -> None:
    body, kind = form(
        ('name="top"', b"2"), ('name="photo"; filename="a.jpg"', JPEG), ('name="explain"', b"true"), boundary="b7"
    )
    assert question(body, kind) == Question(JPEG, "image/jpeg", "top=2;explain=true")


def test_a_large_photo_in_a_form_stays_whole() -> None:
    photo = JPEG + bytes(range(256)) * 16_000
    assert question(*form(('name="photo"; filename="a.jpg"', photo), boundary="b7")).body == photo


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], "no file named"),
        ([('name="top"', b"2")], "no file named"),
        ([('name="photo"', b"text")], "no file named"),
        ([('name="file"; filename="a.jpg"', JPEG)], 'named "photo"'),
        ([('name="photo"; filename="a.jpg"', JPEG)] * 2, "one file expected"),
        ([('name="photo"; filename="a.jpg"', JPEG), ('name="top"', b"9" * 300)], "short options"),
        ([('name="photo"; filename="a.jpg"', JPEG), *[('name="top"', b"1")] * 9], "short options"),
        ([('name="photo"; filename="a.jpg"', JPEG), ('name="size"', b"1")], "unknown option"),
        ([('filename="a.jpg"', JPEG)], "cannot be read"),
    ],
)
def test_a_form_that_holds_something_else_is_refused_with_what_it_is_to_hold(
    parts: list[tuple[str, bytes]], told: str
) -> None:
    error = refusal(*form(*parts, boundary="b7"))
    assert error.code is ErrorCode.BAD_REQUEST
    assert told in error.message


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=other"])
def test_a_form_without_its_boundary_is_refused(kind: str) -> None:
    assert refusal(form(('name="photo"; filename="a.jpg"', JPEG))[0], kind).code is ErrorCode.BAD_REQUEST


def test_a_form_that_was_cut_is_refused() -> None:
    body, kind = form(('name="photo"; filename="a.jpg"', JPEG), boundary="b7")
    assert refusal(body[:-30], kind).code is ErrorCode.BAD_REQUEST


def test_an_empty_file_in_a_form_is_an_empty_body() -> None:
    assert refusal(*form(('name="photo"; filename="a.jpg"', b""), boundary="b7")).code is ErrorCode.EMPTY_BODY


def test_json_with_photos_goes_to_the_endpoint_as_it_is() -> None:
    body = json.dumps({"photos": [base64.b64encode(JPEG).decode()], "top": 2}).encode()
    assert question(body, "application/json; charset=utf-8", "explain=true") == Question(
        body, "application/json", "explain=true"
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refusal(body, "application/json").code is ErrorCode.BAD_REQUEST


def upload_question(fields: dict[str, Any], photo: bytes = JPEG) -> Question:
    given = event(body=json.dumps(fields).encode(), content_type="application/json")
    return question_of(Request.of(given), {"abc": photo}.__getitem__)


def test_an_upload_is_fetched_and_goes_as_the_photo_it_is_however_large() -> None:
    photo = JPEG + b"0" * MAX_PHOTO_BYTES
    assert upload_question({"upload": "abc", "top": 1}, photo) == Question(photo, "image/jpeg", "top=1")


def test_an_upload_s_wrong_options_are_told_before_anything_is_fetched() -> None:
    with pytest.raises(InferenceError, match="unknown option"):
        upload_question({"upload": "not there", "photo": ""})


def test_an_upload_s_name_is_text() -> None:
    with pytest.raises(InferenceError, match="the text that POST /uploads answered"):
        upload_question({"upload": 7})


def test_an_upload_that_is_no_photo_is_refused() -> None:
    with pytest.raises(InferenceError) as refused:
        upload_question({"upload": "abc"}, b"GIF89a")
    assert refused.value.code is ErrorCode.BAD_IMAGE


def test_a_photo_that_is_too_large_is_told_the_other_way() -> None:
    error = refusal(JPEG + b"0" * MAX_PHOTO_BYTES)
    assert error.code is ErrorCode.TOO_LARGE
    assert "/uploads" in error.message
