"""SageMaker's four functions: a photo's bytes in, labels with probabilities out.

Decoding, preprocessing and the network are vision's, the same code that training evaluates with.
"""

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path

import torch

from contract.inference import (
    CONTENT_TYPES,
    TOP_K,
    Answer,
    ErrorCode,
    InferenceError,
    Prediction,
)
from serving.logs import logger
from vision.classifier import LoadedModel, load_artifact
from vision.decoding import decode
from vision.photos import PhotoError, TooManyPixelsError
from vision.pixels import Pixels


@dataclass(frozen=True)
class Model:
    """The artifact on its device; one photo at a time goes through the network, which uses all cores by itself."""

    loaded: LoadedModel
    turn: threading.Lock = field(default_factory=threading.Lock)


def model_fn(model_dir: str) -> Model:
    """Load the artifact in ``model_dir``, onto the GPU where there is one.

    Raises:
        vision.classifier.ArtifactError: the artifact is incomplete, damaged or of another format.
    """
    loaded = load_artifact(Path(model_dir))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded.classifier.to(device)
    logger.info("model loaded", extra={"fields": {"device": device, "classes": len(loaded.classes)}})
    return Model(loaded)


def check_content_type(content_type: str | None) -> None:
    """Refuse anything but a photo's media type.

    Raises:
        InferenceError: UNSUPPORTED_TYPE; the message names what is accepted.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type not in CONTENT_TYPES:
        given = f"content type {media_type[:100]!r}" if media_type else "no content type"
        raise InferenceError(ErrorCode.UNSUPPORTED_TYPE, f"{given}: send a photo as one of {', '.join(CONTENT_TYPES)}")


def input_fn(body: bytes | bytearray, content_type: str | None) -> Pixels:
    """Return the photo in a request's body, upright and RGB; what the bytes are counts, not which type they claim.

    Raises:
        InferenceError: UNSUPPORTED_TYPE, EMPTY_BODY, TOO_LARGE (pixels, told by the header) or BAD_IMAGE.
    """
    check_content_type(content_type)
    if not body:
        raise InferenceError(ErrorCode.EMPTY_BODY, "the request has no body: send the photo's bytes")
    try:
        return decode(bytes(body))
    except TooManyPixelsError as error:
        raise InferenceError(ErrorCode.TOO_LARGE, str(error)) from error
    except PhotoError as error:
        raise InferenceError(ErrorCode.BAD_IMAGE, str(error)) from error


def predict_fn(data: Pixels, model: Model) -> Answer:
    """Return the most probable labels, at most TOP_K, and whether the best is probable enough for a photo of it."""
    with model.turn:
        probabilities = model.loaded.probabilities(data)  # (classes,)
    top = torch.topk(probabilities, min(TOP_K, len(model.loaded.classes)))
    labels = model.loaded.classes.labels
    best = [Prediction(labels[i], p) for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
    return Answer(best, model.loaded.calibration.confident(probabilities))


def output_fn(prediction: Answer, accept: str | None = None) -> bytes:
    """Return the response's body, always JSON: the only form there is, whatever ``accept`` asks for."""
    del accept  # RFC 9110, 12.5.1: a server may answer as if there were no Accept header
    return json.dumps(prediction.body()).encode()
