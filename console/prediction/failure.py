"""Why a photo has no answer."""

from enum import StrEnum
from typing import Any

from console.errors import ConsoleError
from contract.inference import MAX_UPLOAD_BYTES, ErrorCode


class Cause(StrEnum):
    """Codes of what goes wrong on this side; contract.inference.ErrorCode has the API's own."""

    UNREADABLE = "PhotoUnreadable"  # no such file, nothing at the address
    UNREACHABLE = "ApiUnreachable"
    NOT_UNDERSTOOD = "AnswerNotUnderstood"  # whatever answered, it was not the API, or not this version of it
    UPLOAD = "UploadRefused"
    NOT_WRITTEN = "ExplanationNotWritten"


class PhotoError(ConsoleError):
    """One photo has no answer; others may have.

    Attributes:
        code: of contract.inference.ErrorCode, or of Cause.
        reason: the bare words, as programs get them; ``message`` has the circumstances with them.
        request_id: by which the API's log knows it; None: it has not come that far.
    """

    def __init__(
        self, code: str, reason: str, hint: str = "", *, circumstances: str = "", request_id: str | None = None
    ) -> None:
        super().__init__(f"{reason} ({circumstances})" if circumstances else reason, hint)
        self.code = code
        self.reason = reason
        self.request_id = request_id

    def body(self) -> dict[str, Any]:
        """Return the JSON object, in the shape of the API's own errors."""
        return {"error": {"code": str(self.code), "message": self.reason, "request_id": self.request_id}}


def too_large() -> PhotoError:
    """Return what is said of a photo that the API takes in no way."""
    limit = f"{MAX_UPLOAD_BYTES / 1e6:.0f} MB"
    return PhotoError(ErrorCode.TOO_LARGE, f"The photo is larger than {limit}, and was not sent.", "Make it smaller.")


def no_photo(content: bytes) -> PhotoError:
    """Return what is said of a file of no type that the API takes."""
    if not content:
        return PhotoError(ErrorCode.EMPTY_BODY, "There is nothing in it.")
    reason = "This is no JPEG, PNG, WebP or HEIC photo, and was not sent."
    return PhotoError(ErrorCode.BAD_IMAGE, reason, "Open it in a viewer, and save it as one of them.")
