"""What the endpoint is asked: a photo as it came, out of a form or uploaded before, or JSON, which it reads itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.front_door import MULTIPART_TYPE, UPLOAD_FIELD
from contract.inference import JSON_TYPE, MAX_PHOTO_BYTES, ErrorCode, InferenceError
from contract.json_body import json_object
from contract.options import Given, attributes_of, given_as_text, read_options
from contract.photo_types import PHOTO_TYPES, photo_type
from infra.front_door.form import read_form
from infra.front_door.request import Request

ACCEPTED: Final = (*PHOTO_TYPES, MULTIPART_TYPE, JSON_TYPE)


@dataclass(frozen=True)
class Question:
    """What goes to the endpoint: a body, what it is, and the options as a custom attributes header."""

    body: bytes
    content_type: str
    attributes: str


def question_of(request: Request, uploaded: Callable[[str], bytes]) -> Question:
    """Return what a request asks; ``uploaded`` returns the photo of an upload.

    Raises:
        InferenceError: it holds nothing that can be a photo, or an option that there is not.
    """
    if request.media_type not in ACCEPTED:
        raise InferenceError(
            ErrorCode.UNSUPPORTED_TYPE,
            f"the content type {request.media_type[:100] or '(none)'} is not supported; send one of "
            + ", ".join(ACCEPTED),
        )
    given, body = given_as_text(request.query), request.body()
    if request.media_type == JSON_TYPE:
        return _of_json(body, given, uploaded)
    if request.media_type == MULTIPART_TYPE:
        form = read_form(body, request.headers["content-type"])
        assert form.photo is not None
        body, given = form.photo, given + given_as_text(form.fields)
    if len(body) > MAX_PHOTO_BYTES:
        raise InferenceError(
            ErrorCode.TOO_LARGE,
            f"the photo has {len(body)} bytes, at most {MAX_PHOTO_BYTES} are taken here; larger ones by POST /uploads",
        )
    return _of_photo(body, given)


def _of_json(body: bytes, given: Given, uploaded: Callable[[str], bytes]) -> Question:
    fields = json_object(body)
    if UPLOAD_FIELD not in fields:
        read_options(given, None)
        return Question(body, JSON_TYPE, attributes_of(given))
    upload = fields.pop(UPLOAD_FIELD)
    if not isinstance(upload, str):
        raise InferenceError(ErrorCode.BAD_REQUEST, f'"{UPLOAD_FIELD}": the text that POST /uploads answered expected')
    given = given + list(fields.items())
    read_options(given, None)  # before anything is fetched
    return _of_photo(uploaded(upload), given)


def _of_photo(photo: bytes, given: Given) -> Question:
    read_options(given, None)
    kind = photo_type(photo)
    if kind is None:
        raise InferenceError(ErrorCode.BAD_IMAGE, "what was sent is no JPEG, PNG, WebP or HEIC photo")
    return Question(photo, kind, attributes_of(given))
