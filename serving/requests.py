"""What a request asks for: its photos, as bytes, and its options. Nothing is decoded here but base64."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from contract.inference import (
    CONTENT_TYPES,
    JSON_TYPE,
    MAX_PHOTOS,
    PHOTO_FIELD,
    PHOTOS_FIELD,
    ErrorCode,
    InferenceError,
    Options,
)
from contract.json_body import json_object
from contract.options import given_as_text, read_options
from contract.photo_types import PHOTO_TYPES
from vision.photos import heic_installed


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
    return PHOTO_TYPES if heic_installed() else CONTENT_TYPES


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
        options: of the query and of the custom attributes (``contract.options``), names with values.

    Raises:
        InferenceError: UNSUPPORTED_TYPE, EMPTY_BODY or BAD_REQUEST; the message names what is wrong.
    """
    media_type = media_type_of(content_type)
    if not body:
        raise InferenceError(ErrorCode.EMPTY_BODY, "the request has no body: send the photo's bytes")
    given = given_as_text(options)
    if media_type != JSON_TYPE:
        photo = body.encode() if isinstance(body, str) else bytes(body)
        return Request((photo,), read_options(given, classes))
    fields = json_object(body)
    several = PHOTOS_FIELD in fields
    if several == (PHOTO_FIELD in fields):
        raise _bad(
            f'"{PHOTO_FIELD}" (base64) or "{PHOTOS_FIELD}" (a list of them) expected in the JSON, one of the two'
        )
    sent = fields.pop(PHOTOS_FIELD) if several else [fields.pop(PHOTO_FIELD)]
    return Request(_photos(sent, several), read_options(given + list(fields.items()), classes), several)


def _photos(sent: object, several: bool) -> tuple[bytes, ...]:
    if not isinstance(sent, list) or not 1 <= len(sent) <= MAX_PHOTOS:
        raise _bad(f'"{PHOTOS_FIELD}": a list of 1 to {MAX_PHOTOS} photos expected')
    names = [f"{PHOTOS_FIELD}[{number}]" for number in range(len(sent))] if several else [PHOTO_FIELD]
    return tuple(_from_base64(name, photo) for name, photo in zip(names, sent, strict=True))


def _from_base64(name: str, photo: object) -> bytes:
    if not isinstance(photo, str):
        raise _bad(f"{name}: a string of base64 expected")
    try:
        return base64.b64decode(photo, validate=True)
    except (binascii.Error, ValueError) as error:  # a ValueError: characters outside of ASCII
        how = 'one line of it expected, padded with =, without "data:...," in front'  # where browsers put it
        raise _bad(f"{name} is no base64: {error}; {how}") from error


def _bad(message: str) -> InferenceError:
    return InferenceError(ErrorCode.BAD_REQUEST, message)
