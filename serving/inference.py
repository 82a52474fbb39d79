"""SageMaker's four functions: a request's bytes in, labels with probabilities out.

They work as they are under AWS's own inference toolkits, which call them one after the other; ``serving.app`` calls
what they are made of. Decoding, preprocessing and the network are vision's, the same code that training evaluates with.
"""

import json
import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, overload

import numpy as np
from torch import Tensor

from contract.inference import (
    OPTIONS_HEADER,
    RESPONSE_TYPE,
    TOP_K,
    Answer,
    ErrorCode,
    Explanation,
    InferenceError,
    Options,
)
from contract.options import options_of
from contract.serving import DEFAULT_SERVING, Variable
from serving.answers import answers, output
from serving.engines.base import Engine
from serving.explain import heat_maps, overlay
from serving.requests import Request, photos_in
from serving.scaling import scaled
from vision.check_photos import Logits, Photos
from vision.classifier import LoadedModel, ModelCard, load_artifact, load_card

# Photos that go through the network at once: more gain nothing on a CPU.
_BATCH: Final = 8


class ToolkitContext(Protocol):
    """What AWS's toolkits tell a function of the request, and hear from it of the response."""

    request_processor: Sequence[Any]

    def set_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Answer with this HTTP status."""


@dataclass(frozen=True)
class Model:
    """The artifact's network at work, one caller at a time: it uses all cores by itself."""

    card: ModelCard
    loaded: LoadedModel
    engine: Engine
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Said:
    """What the model says of each photo of a request, in its order, or why it says nothing."""

    answers: tuple[Answer | InferenceError, ...]
    several: bool = False


def model_fn(model_dir: str) -> Model:
    """Load the artifact in ``model_dir``, and choose the engine that runs it fastest here.

    Raises:
        vision.classifier.ArtifactError: the artifact is incomplete, damaged or of another format.
        serving.engines.base.EngineUnavailableError: the engine that PEDIGREE_ENGINE names cannot run here.
    """
    from serving.engines.choice import choose  # loads every engine there is, which the server's front has no use for

    directory = Path(model_dir)
    loaded = load_artifact(directory)
    chosen = choose(directory, loaded, os.environ.get(Variable.ENGINE, DEFAULT_SERVING.engine))
    return Model(load_card(directory), loaded, chosen.engine)


def input_fn(
    body: bytes | bytearray | str, content_type: str | None, context: ToolkitContext | None = None
) -> Request | InferenceError:
    """Take a request apart: its photos' bytes and its options, which come in JSON or in the custom attributes.

    Raises:
        InferenceError: there are none; with a context, which can tell the client, it is returned.
    """
    try:
        return photos_in(body, content_type, None, options_of(_header(context, OPTIONS_HEADER)))
    except InferenceError as error:
        if context is None:
            raise
        return error


def predict_fn(data: Request | InferenceError, model: Model) -> Said:
    """Return what the model says of each photo, or why it cannot be used; no more than a batch is decoded at once."""
    if isinstance(data, InferenceError):
        return Said((data,))
    classes = len(model.card.classes)
    if data.options.top > max(classes, TOP_K):
        return Said(
            (InferenceError(ErrorCode.BAD_REQUEST, f"top={data.options.top}: the model has {classes} classes"),)
        )
    said: list[Answer | InferenceError] = []
    for start in range(0, len(data.photos), _BATCH):
        said += _batch(data.photos[start : start + _BATCH], data.options, model)
    return Said(tuple(said), data.several)


def _batch(photos: Sequence[bytes], options: Options, model: Model) -> list[Answer | InferenceError]:
    seen = [_seen(photo, model) for photo in photos]  # (3, crop, crop) each
    usable = [one.numpy() for one in seen if not isinstance(one, InferenceError)]
    if not usable:
        return [one for one in seen if isinstance(one, InferenceError)]
    stacked = np.stack(usable)  # (N, 3, crop, crop)
    with model.turn:
        logits = model.engine.logits(stacked)  # (N, classes)
        said = answers(logits, model.card, options.top)
        if options.explain:
            said = _explained(said, stacked, logits, model)
    in_order = iter(said)
    return [one if isinstance(one, InferenceError) else next(in_order) for one in seen]


def _explained(said: list[Answer], photos: Photos, logits: Logits, model: Model) -> list[Answer]:
    """Add to each answer where in its photo (N, 3, crop, crop) the network saw the label it holds most probable."""
    heats = heat_maps(model.loaded, photos, logits.argmax(axis=1).tolist())  # (N, crop, crop)
    return [
        replace(one, explanation=Explanation(one.predictions[0].label, overlay(photo, heat)))
        for one, photo, heat in zip(said, photos, heats, strict=True)
    ]


def _seen(photo: bytes, model: Model) -> Tensor | InferenceError:
    try:
        return scaled(photo, model.card.preprocessing)  # (3, crop, crop) uint8
    except InferenceError as error:
        return error


@overload
def output_fn(prediction: Said, accept: str | None = None, context: None = None) -> bytes: ...


@overload
def output_fn(prediction: Said, accept: str | None, context: ToolkitContext) -> tuple[bytes, str]: ...


def output_fn(
    prediction: Said, accept: str | None = None, context: ToolkitContext | None = None
) -> bytes | tuple[bytes, str]:
    """Return the response's body, always JSON: the only form there is, whatever ``accept`` asks for.

    With a context, its type goes with it: the toolkit would call it what ``accept`` asks for.

    Raises:
        InferenceError: the request has no answer; with a context that is told to the client.
    """
    del accept  # RFC 9110, 12.5.1: a server may answer as if there were no Accept header
    if context is None:
        return output(prediction.answers, prediction.several)
    try:
        body = output(prediction.answers, prediction.several)
    except InferenceError as error:
        context.set_response_status(code=error.status, phrase=str(error.code))
        body = json.dumps(error.body(str(uuid.uuid4()))).encode()
    return body, RESPONSE_TYPE


def _header(context: ToolkitContext | None, name: str) -> str | None:
    """Return a header of the toolkit's request, however it is spelt."""
    if context is None:
        return None
    properties = context.request_processor[0].get_request_properties()
    return next((str(value) for given, value in properties.items() if given.lower() == name.lower()), None)
