"""What a client, the Lambda, the endpoint and the console agree on about one prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

TOP_K: Final = 5
CONTENT_TYPES: Final = ("image/jpeg", "image/png", "image/webp")
RESPONSE_TYPE: Final = "application/json"
# API Gateway takes 10 MB; Lambda's 6 MB event carries the photo in base64, which leaves about 4.4 MB.
MAX_PHOTO_BYTES: Final = 4_400_000
# What an endpoint takes: SageMaker lets 25 MB through.
MAX_BODY_BYTES: Final = 26_214_400
# One photo of a body: the largest upload there is.
MAX_UPLOAD_BYTES: Final = 20_000_000
# 64 megapixels: more than phones take, and 192 MB decoded.
MAX_PHOTO_PIXELS: Final = 64_000_000
# Of the photos of what a model knows, the share that it is to be sure of; the rest is what it costs to tell most other
# photos apart (docs/decisions/0006-calibration.md).
KNOWN_SHARE: Final = 0.95


class ErrorCode(StrEnum):
    """Machine-readable causes; each belongs to one HTTP status."""

    BAD_REQUEST = "BadRequest"
    BAD_IMAGE = "BadImage"
    EMPTY_BODY = "EmptyBody"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    TOO_LARGE = "PhotoTooLarge"
    UNSUPPORTED_TYPE = "UnsupportedMediaType"
    TOO_MANY_REQUESTS = "TooManyRequests"
    UNAVAILABLE = "ModelUnavailable"
    INTERNAL = "InternalError"


STATUS: Final[dict[ErrorCode, int]] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.BAD_IMAGE: 400,
    ErrorCode.EMPTY_BODY: 400,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_TYPE: 415,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
}


class InferenceError(Exception):
    """A request that gets no prediction; carries its code and so its HTTP status."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        """Keep the code and a message fit for the client's eyes."""
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return STATUS[self.code]

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the response body."""
        return {"error": {"code": str(self.code), "message": self.message, "request_id": request_id}}


@dataclass(frozen=True)
class Prediction:
    """One label and how probable the model holds it (0 to 1)."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What the model says about one photo.

    Attributes:
        predictions: most probable first.
        confident: false: this may be nothing that the model knows, so sure it is not; None: the model does not say.
    """

    predictions: list[Prediction]
    confident: bool | None = None

    def body(self) -> dict[str, Any]:
        """Return the response body; ``confident`` is in it where the model says."""
        said = [{"label": p.label, "probability": round(p.probability, 6)} for p in self.predictions]
        return {"predictions": said} | ({} if self.confident is None else {"confident": self.confident})

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Answer":
        """Read a response body.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        predictions = [Prediction(str(one["label"]), float(one["probability"])) for one in body["predictions"]]
        confident = body.get("confident")
        return cls(predictions, None if confident is None else bool(confident))
