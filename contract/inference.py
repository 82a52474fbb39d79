"""What a client, the Lambda, the endpoint and the console agree on about one prediction."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

TOP_K: Final = 5
CONTENT_TYPES: Final = ("image/jpeg", "image/png", "image/webp")
# Taken by an endpoint whose machine has the decoder, the package pillow-heif.
HEIC_TYPES: Final = ("image/heic", "image/heif")
# Several photos in one request, in base64; also what every answer is.
JSON_TYPE: Final = "application/json"
# The fields of such a body that hold photos: one, or a list.
PHOTO_FIELD: Final = "photo"
PHOTOS_FIELD: Final = "photos"
RESPONSE_TYPE: Final = JSON_TYPE
# Options of a photo that is sent as it is, where there is no query: InvokeEndpoint passes none on, but this header.
OPTIONS_HEADER: Final = "X-Amzn-SageMaker-Custom-Attributes"
# API Gateway takes 10 MB; Lambda's 6 MB event carries the photo in base64, which leaves about 4.4 MB.
MAX_PHOTO_BYTES: Final = 4_400_000
# What an endpoint takes: SageMaker lets 25 MB through.
MAX_BODY_BYTES: Final = 26_214_400
# One photo of a body: the largest upload there is.
MAX_UPLOAD_BYTES: Final = 20_000_000
# Photos of one JSON request: half of those that wait at most (contract.serving), so that no client fills the queue.
MAX_PHOTOS: Final = 64
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
    TIMEOUT = "RequestTimeout"
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
    ErrorCode.TIMEOUT: 408,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_TYPE: 415,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNAVAILABLE: 503,
}


class InferenceError(Exception):
    """A request that gets no prediction; carries its code and so its HTTP status.

    Attributes:
        retry_after: seconds after which the same request may succeed, where waiting helps.
    """

    def __init__(self, code: ErrorCode, message: str, retry_after: int | None = None) -> None:
        """Keep the code and a message fit for the client's eyes."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return STATUS[self.code]

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the response body."""
        return {"error": {"code": str(self.code), "message": self.message, "request_id": request_id}}

    def answer(self) -> dict[str, Any]:
        """Return what stands in the place of one photo's answer, among those of other photos."""
        return {"error": {"code": str(self.code), "message": self.message}}


@dataclass(frozen=True)
class Options:
    """What a client may ask for beside the labels.

    Attributes:
        top: so many labels, most probable first.
        explain: a picture of what the model looked at.
    """

    top: int = TOP_K
    explain: bool = False


@dataclass(frozen=True)
class Explanation:
    """A picture of what spoke for a label.

    Attributes:
        label: which one.
        data: the picture, a file of ``content_type``.
    """

    label: str
    data: bytes
    content_type: str = "image/jpeg"

    def body(self) -> dict[str, str]:
        """Return the JSON object, the picture in base64."""
        data = base64.b64encode(self.data).decode("ascii")
        return {"label": self.label, "content_type": self.content_type, "data": data}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Explanation":
        """Read the JSON object.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        data = base64.b64decode(body["data"], validate=True)
        return cls(str(body["label"]), data, str(body["content_type"]))


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
        explanation: what the model looked at, where it was asked for.
    """

    predictions: list[Prediction]
    confident: bool | None = None
    explanation: Explanation | None = None

    def body(self) -> dict[str, Any]:
        """Return the response body; ``confident`` is in it where the model says, ``explanation`` where asked for."""
        said: dict[str, Any] = {
            "predictions": [{"label": p.label, "probability": round(p.probability, 6)} for p in self.predictions]
        }
        if self.confident is not None:
            said["confident"] = self.confident
        if self.explanation is not None:
            said["explanation"] = self.explanation.body()
        return said

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "Answer":
        """Read a response body.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        predictions = [Prediction(str(one["label"]), float(one["probability"])) for one in body["predictions"]]
        confident, explanation = body.get("confident"), body.get("explanation")
        return cls(
            predictions,
            None if confident is None else bool(confident),
            None if explanation is None else Explanation.read(explanation),
        )
