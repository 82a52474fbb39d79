"""What a request asks for, and what is wrong with one that cannot be answered."""

import base64
import json
from typing import Any

import pytest

from contract.inference import MAX_PHOTOS, ErrorCode, InferenceError, Options
from contract.options import options_of
from serving import requests
from serving.requests import photo_types, photos_in

CLASSES = 10


def as_json(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def coded(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


def refusal(body: bytes | str, content_type: str | None, options: list[tuple[str, str]] | None = None) -> str:
    with pytest.raises(InferenceError) as refused:
        photos_in(body, content_type, CLASSES, options or [])
    assert refused.value.code is ErrorCode.BAD_REQUEST
    return refused.value.message


def test_a_photo_as_it_is_is_one_photo_with_the_usual_options() -> None:
    request = photos_in(bytearray(b"photo"), "image/jpeg", CLASSES)
    assert (request.photos, request.options, request.several) == ((b"photo",), Options(5, False), False)


def test_a_model_of_few_classes_is_asked_for_all_of_them() -> None:
    assert photos_in(b"photo", "image/png", 3).options.top == 3


@pytest.mark.parametrize("content_type", ["IMAGE/JPEG", "image/png; charset=binary", " image/webp "])
def test_photo_types_are_accepted_in_any_spelling(content_type: str) -> None:
    assert photos_in(b"photo", content_type, CLASSES).photos == (b"photo",)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "image/gif", "image/jpeg2000", "x" * 9999])
def test_other_types_are_refused_with_what_is_accepted(content_type: str | None) -> None:
    with pytest.raises(InferenceError, match=r"image/jpeg, image/png, image/webp.* application/json") as refused:
        photos_in(b"photo", content_type, CLASSES)
    assert refused.value.status == 415
    assert len(refused.value.message) < 400


def test_heic_is_accepted_where_its_decoder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "heic_installed", lambda: True)
    assert photo_types()[-2:] == ("image/heic", "image/heif")
    monkeypatch.setattr(requests, "heic_installed", lambda: False)
    assert photo_types()[-1] == "image/webp"
    with pytest.raises(InferenceError, match="image/heic"):
        photos_in(b"photo", "image/heic", CLASSES)


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/json"])
def test_an_empty_body_is_refused(content_type: str) -> None:
    with pytest.raises(InferenceError) as refused:
        photos_in(b"", content_type, CLASSES)
    assert refused.value.code is ErrorCode.EMPTY_BODY


@pytest.mark.parametrize("body", [as_json(photo=coded(b"one")), as_json(photo=coded(b"one")).decode()])
def test_one_photo_in_json_is_answered_as_one_photo(body: bytes | str) -> None:
    request = photos_in(body, "application/json; charset=utf-8", CLASSES)
    assert (request.photos, request.several) == ((b"one",), False)


def test_several_photos_in_json_keep_their_order() -> None:
    sent = [b"one", b"", b"three"]
    request = photos_in(as_json(photos=[coded(photo) for photo in sent]), "application/json", CLASSES)
    assert (list(request.photos), request.several) == (sent, True)


def test_options_in_json_count_for_all_its_photos() -> None:
    request = photos_in(as_json(photos=[coded(b"one")], top=2, explain=True), "application/json", CLASSES)
    assert request.options == Options(2, True)


def test_options_of_the_query_are_text() -> None:
    assert photos_in(b"photo", "image/jpeg", CLASSES, [("top", "3"), ("explain", "True")]).options == Options(3, True)


@pytest.mark.parametrize("header", ["top=3;explain=true", " top = 3 ; explain=true; "])
def test_options_of_the_custom_attributes_are_as_those_of_a_query(header: str) -> None:
    assert options_of(header) == [("top", "3"), ("explain", "true")]


@pytest.mark.parametrize("header", [None, "", " ; ;"])
def test_no_custom_attributes_are_no_options(header: str | None) -> None:
    assert options_of(header) == []


def test_custom_attributes_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(InferenceError, match="'top': NAME=VALUE expected"):
        options_of("top")


@pytest.mark.parametrize("top", ["0", "11", "-1", "1.5", "", "many", "²", "9" * 5000])
def test_a_top_that_is_no_number_of_classes_is_refused(top: str) -> None:
    message = refusal(b"photo", "image/jpeg", [("top", top)])
    assert message.startswith("top=")
    assert "from 1 to 10" in message
    assert len(message) < 200


@pytest.mark.parametrize("top", [0, 11, 2.0, True, None, "3", [3]])
def test_a_top_of_another_type_is_refused_in_json(top: object) -> None:
    assert refusal(as_json(photo="", top=top), "application/json").startswith("top=")


@pytest.mark.parametrize("explain", ["1", "yes", ""])
def test_explain_is_true_or_false(explain: str) -> None:
    assert "true or false" in refusal(b"photo", "image/jpeg", [("explain", explain)])


def test_an_unknown_option_is_named() -> None:
    assert "'topp'" in refusal(b"photo", "image/jpeg", [("topp", "3")])
    assert "'topp'" in refusal(as_json(photo="", topp=3), "application/json")


def test_an_option_in_two_places_is_refused() -> None:
    assert "top is given twice" in refusal(b"photo", "image/jpeg", [("top", "3"), ("top", "3")])
    assert "top is given twice" in refusal(as_json(photo="", top=3), "application/json", [("top", "3")])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xff\xd8\xff", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b'{"photo": ' + b"9" * 10_000 + b"}", "no JSON"),
        (b"[]", "a JSON object expected"),
        (b"{}", "one of the two"),
        (as_json(photo="", photos=[""]), "one of the two"),
        (as_json(photos=[]), f"1 to {MAX_PHOTOS}"),
        (as_json(photos=""), f"1 to {MAX_PHOTOS}"),
        (as_json(photos=[""] * (MAX_PHOTOS + 1)), f"1 to {MAX_PHOTOS}"),
        (as_json(photos=["", 7]), r"photos[1]: a string"),
        (as_json(photos=["", "?"]), r"photos[1] is no base64"),
        (as_json(photo="é"), "photo is no base64"),
        (as_json(photo="data:image/jpeg;base64,/9j/"), 'without "data:...," in front'),
        (as_json(photo={}), "photo: a string"),
    ],
)
def test_json_that_is_no_request_is_refused_with_the_reason(body: bytes, said: str) -> None:
    assert said in refusal(body, "application/json")


def test_top_is_not_checked_against_classes_that_are_not_known() -> None:
    assert photos_in(b"photo", "image/jpeg", None, [("top", "500")]).options.top == 500
