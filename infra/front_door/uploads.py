"""Photos that are too large for the API's body: where they go, and how they come back."""

import os
import re
import secrets
from typing import Final

from contract.front_door import UPLOAD_SECONDS, Upload
from contract.inference import MAX_UPLOAD_BYTES, ErrorCode, InferenceError
from contract.json_body import json_object
from contract.names import Prefix
from contract.options import told
from contract.photo_types import PHOTO_TYPES
from infra.front_door.clients import read_object, s3

# 144 random bits: who does not know an upload's name cannot guess it.
_NAME_BYTES: Final = 18
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{24}")


def new_upload(body: bytes) -> Upload:
    """Return where the photo goes that ``body``, JSON, announces: ``{"bytes": 5000000, "content_type": "image/jpeg"}``.

    The address is signed for exactly that size and type: S3 refuses anything else that is sent to it.

    Raises:
        InferenceError: BAD_REQUEST, TOO_LARGE or UNSUPPORTED_TYPE; the message names the field and what is expected.
    """
    fields = json_object(body)
    size, kind = fields.pop("bytes", None), fields.pop("content_type", None)
    if fields:
        raise _bad(f"unknown field {told(next(iter(fields)))}: there are bytes and content_type")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise _bad(f'"bytes": {told(size)}: the size of the photo expected, a whole number from 1 on')
    if size > MAX_UPLOAD_BYTES:
        raise InferenceError(
            ErrorCode.TOO_LARGE, f"the photo has {size} bytes, at most {MAX_UPLOAD_BYTES} can be uploaded"
        )
    if kind not in PHOTO_TYPES:
        raise InferenceError(
            ErrorCode.UNSUPPORTED_TYPE, f'"content_type": {told(kind)}: one of {", ".join(PHOTO_TYPES)} expected'
        )
    name = secrets.token_urlsafe(_NAME_BYTES)
    where = {"Bucket": os.environ["BUCKET"], "Key": _key(name), "ContentType": kind, "ContentLength": size}
    url = s3().generate_presigned_url("put_object", Params=where, ExpiresIn=UPLOAD_SECONDS)
    return Upload(name, url, {"Content-Type": kind})


def uploaded(name: str) -> bytes:
    """Return the photo of an upload.

    Raises:
        InferenceError: NOT_FOUND, there is none (any more).
    """
    if _NAME.fullmatch(name) is None:
        raise _absent(name)
    photo = read_object(_key(name))
    if photo is None:
        raise _absent(name)
    return photo


def _key(name: str) -> str:
    return f"{Prefix.UPLOADS}/{name}"


def _absent(name: str) -> InferenceError:
    return InferenceError(
        ErrorCode.NOT_FOUND, f"there is no upload {told(name)}: nothing was sent to its address, or over a day ago"
    )


def _bad(message: str) -> InferenceError:
    return InferenceError(ErrorCode.BAD_REQUEST, message)
