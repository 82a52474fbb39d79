"""What a request asks for: its photos, as bytes, and its options. Nothing is decoded here but base64."""

import base64
import binascii
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from contract.inference import (
    CONTENT_TYPES,
    HEIC_TYPES,
    JSON_TYPE,
    MAX_PHOTOS,
    TOP_K,
    ErrorCode,
    InferenceError,
    Options,
)
from vision.photos import heic_installed

_TOP: Final = "top"
_EXPLAIN: Final = "explain"
_PHOTO: Final = "photo"
_PHOTOS: Final = "photos"
_YES_NO: Final = {"true": True, "false": False}
# No option needs more; a longer one is not repeated in the message.
_LONGEST_TOLD: Final = 40


@dataclass(frozen=True)
class Request:
    """What one request asks for.

    Attributes:
        photos: the bytes of each; not looked at yet.
        options: those of all its photos.
        several: whether the answer is a list, one entry for each photo, even where there is one.
    """

    photos: tuple[bytes, ...]
    options: Options
    several: bool = False


def photo_types() -> tuple[str, ...]:
    """Return the media types of the photos that can be decoded here."""
    return CONTENT_TYPES + HEIC_TYPES if heic_installed() else CONTENT_TYPES


def media_type_of(content_type: str | None) -> str:
    """Return the media type of a Content-Type header, without its parameters.

    Raises:
        InferenceError: UNSUPPORTED_TYPE, where it is neither a photo's nor JSON's; the message names what is accepted.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != JSON_TYPE and media_type not in photo_types():
        given = f"content type {media_type[:100]!r}" if media_type else "no content type"
        accepted = ", ".join(photo_types())
        raise InferenceError(
            ErrorCode.UNSUPPORTED_TYPE, f"{given}: send a photo as one of {accepted}, or several as {JSON_TYPE}"
        )
    return media_type


def photos_in(
    body: bytes | bytearray | str,
    content_type: str | None,
    classes: int | None,
    options: Iterable[tuple[str, str]] = (),
) -> Request:
    """Return what a request asks for; a JSON body of 25 MB takes a tenth of a second, others no time.

    Args:
        body: as it came; a string where a toolkit has decoded JSON's UTF-8.
        content_type: the header, of which a photo's bytes may say something else: then the bytes count.
        classes: how many the model knows, the most that ``top`` may be; None: not known here.
        options: of the query and of the custom attributes (``options_of``), names with values.

    Raises:
        InferenceError: UNSUPPORTED_TYPE, EMPTY_BODY or BAD_REQUEST; the message names what is wrong.
    """
    media_type = media_type_of(content_type)
    if not body:
        raise InferenceError(ErrorCode.EMPTY_BODY, "the request has no body: send the photo's bytes")
    given: list[tuple[str, Any]] = [(name, _value_of(name, text)) for name, text in options]
    if media_type != JSON_TYPE:
        photo = body.encode() if isinstance(body, str) else bytes(body)
        return Request((photo,), _options(given, classes))
    fields = _json_object(body)
    several = _PHOTOS in fields
    if several == (_PHOTO in fields):
        raise _bad(f'"{_PHOTO}" (base64) or "{_PHOTOS}" (a list of them) expected in the JSON object, one of the two')
    sent = fields.pop(_PHOTOS) if several else [fields.pop(_PHOTO)]
    return Request(_photos(sent, several), _options(given + list(fields.items()), classes), several)


def options_of(attributes: str | None) -> list[tuple[str, str]]:
    """Return the options in a custom attributes header: ``top=3;explain=true``.

    Raises:
        InferenceError: BAD_REQUEST, where something in it is no NAME=VALUE.
    """
    pairs = []
    for part in filter(None, (part.strip() for part in (attributes or "").split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise _bad(f"option {_told(part)}: NAME=VALUE expected, as in top=3;explain=true")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _options(given: list[tuple[str, Any]], classes: int | None) -> Options:
    """Return the options; what is not given is as usual.

    Raises:
        InferenceError: BAD_REQUEST.
    """
    values: dict[str, Any] = {}
    for name, value in given:
        if name not in (_TOP, _EXPLAIN):
            raise _bad(f"unknown option {_told(name)}: there are {_TOP} and {_EXPLAIN}")
        if name in values:
            raise _bad(f"option {name} is given twice")
        values[name] = value
    most = sys.maxsize if classes is None else classes
    top, explain = values.get(_TOP, min(TOP_K, most)), values.get(_EXPLAIN, False)
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= most:
        raise _bad(f"{_TOP}={_told(top)}: a whole number from 1 to {classes or 'the number of classes'} expected")
    if not isinstance(explain, bool):
        raise _bad(f"{_EXPLAIN}={_told(explain)}: true or false expected")
    return Options(top, explain)


def _value_of(name: str, text: str) -> str | int | bool:
    """Return an option's value as JSON would have it; what it cannot be stays text, to be refused."""
    if name == _TOP and text.isascii() and text.isdecimal() and len(text) <= 9:
        return int(text)
    return _YES_NO.get(text.lower(), text) if name == _EXPLAIN else text


def _json_object(body: bytes | bytearray | str) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:  # what is not UTF-8 is a ValueError, too
        raise _bad(f"the body is no JSON: {str(error)[:200]}") from error
    if not isinstance(fields, dict):
        raise _bad("a JSON object expected")
    return fields


def _photos(sent: object, several: bool) -> tuple[bytes, ...]:
    if not isinstance(sent, list) or not 1 <= len(sent) <= MAX_PHOTOS:
        raise _bad(f'"{_PHOTOS}": a list of 1 to {MAX_PHOTOS} photos expected')
    names = [f"{_PHOTOS}[{number}]" for number in range(len(sent))] if several else [_PHOTO]
    return tuple(_from_base64(name, photo) for name, photo in zip(names, sent, strict=True))


def _from_base64(name: str, photo: object) -> bytes:
    if not isinstance(photo, str):
        raise _bad(f"{name}: a string of base64 expected")
    try:
        return base64.b64decode(photo, validate=True)
    except (binascii.Error, ValueError) as error:  # a ValueError: characters outside of ASCII
        raise _bad(f"{name} is no base64: {error}") from error


def _bad(message: str) -> InferenceError:
    return InferenceError(ErrorCode.BAD_REQUEST, message)


def _told(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}..."
