"""A photo out of a multipart form, as browsers and curl -F send it."""

from dataclasses import dataclass, field
from typing import Any, Final

from contract.front_door import MULTIPART_TYPE
from contract.inference import MAX_PHOTO_BYTES, PHOTO_FIELD, ErrorCode, InferenceError

# An option's name and value; a form of ours has two of them.
_FIELD_BYTES: Final = 200
_MOST_FIELDS: Final = 8


@dataclass
class Form:
    """What a form holds: the photo's bytes, and its other fields in order."""

    photo: bytes | None = None
    fields: list[tuple[str, str]] = field(default_factory=list)


def read_form(body: bytes, content_type: str) -> Form:
    """Return the form in ``body``, whose boundary the ``Content-Type`` header names.

    Raises:
        InferenceError: BAD_REQUEST or EMPTY_BODY; the message says what a form is to hold.
    """
    # Forms are rare, and this takes a tenth of the time that a new container has until its first answer.
    from python_multipart import FormParser
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import parse_options_header

    form = Form()
    _, options = parse_options_header(content_type)
    try:
        parser = FormParser(
            MULTIPART_TYPE,
            on_field=lambda given: _keep_field(form, given),
            on_file=lambda given: _keep_file(form, given),
            boundary=options.get(b"boundary"),
            # All in memory: Lambda has let no more than 6 MB through.
            config={"MAX_MEMORY_FILE_SIZE": 2 * MAX_PHOTO_BYTES, "UPLOAD_ERROR_ON_BAD_CTE": True},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InferenceError(ErrorCode.BAD_REQUEST, f"the form cannot be read: {str(error)[:200]}") from error
    if form.photo is None:
        raise InferenceError(ErrorCode.BAD_REQUEST, f'the form holds no file named "{PHOTO_FIELD}"')
    if not form.photo:
        raise InferenceError(ErrorCode.EMPTY_BODY, f'the file "{PHOTO_FIELD}" in the form is empty')
    return form


def _keep_file(form: Form, given: Any) -> None:
    """Keep the photo.

    Raises:
        InferenceError: BAD_REQUEST, there is a second one, or it is called otherwise.
    """
    name = _text(given.field_name)
    if name != PHOTO_FIELD or form.photo is not None:
        raise InferenceError(ErrorCode.BAD_REQUEST, f'one file expected in the form, named "{PHOTO_FIELD}"')
    given.file_object.seek(0)
    form.photo = given.file_object.read()


def _keep_field(form: Form, given: Any) -> None:
    value = given.value or b""
    if len(value) > _FIELD_BYTES or len(form.fields) == _MOST_FIELDS:
        raise InferenceError(
            ErrorCode.BAD_REQUEST,
            f'one file named "{PHOTO_FIELD}" expected in the form, and a few short options beside it',
        )
    form.fields.append((_text(given.field_name), _text(value)))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")
