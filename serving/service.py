"""One model at work: loaded in the background, warmed up, answering a bounded number of photos at a time."""

import asyncio
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from PIL import Image

from contract.inference import ErrorCode, InferenceError
from serving.inference import Model, input_fn, output_fn, predict_fn

# The worst photo allowed (64 megapixels, transparent, stored lying) takes 1.2 GB while it is decoded.
_MAX_DECODES: Final = 4
# Photos that wait for a thread, each at most MAX_PHOTO_BYTES.
MAX_WAITING: Final = 64


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ModelService:
    """Answers photos once ``start`` has loaded the model; safe to use from one event loop."""

    def __init__(self, load: Callable[[], Model]) -> None:
        """Take the function that loads the model; it runs in a thread."""
        self._load = load
        self._model: Model | None = None
        self._threads = ThreadPoolExecutor(min(_MAX_DECODES, available_cores()), thread_name_prefix="inference")
        self._unanswered = 0

    @property
    def ready(self) -> bool:
        """Whether the model has loaded and answered its first prediction."""
        return self._model is not None

    async def start(self) -> None:
        """Load the model and let it answer a photo, so that the first user does not pay for the first prediction."""
        loop = asyncio.get_running_loop()
        model = await loop.run_in_executor(self._threads, self._load)
        await loop.run_in_executor(self._threads, _answer, model, _synthetic_photo(), "image/jpeg", None)
        self._model = model

    async def answer(self, body: bytes, content_type: str | None, accept: str | None) -> bytes:
        """Return the response's body for one photo.

        Raises:
            InferenceError: the photo cannot be used, the model is not ready, or too many photos wait already.
        """
        if self._model is None:
            raise InferenceError(ErrorCode.UNAVAILABLE, "the model is still loading: try again in a few seconds")
        if self._unanswered >= MAX_WAITING:
            raise InferenceError(ErrorCode.UNAVAILABLE, f"{self._unanswered} photos are waiting already: try again")
        self._unanswered += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _answer, self._model, body, content_type, accept)
        finally:
            self._unanswered -= 1


def _answer(model: Model, body: bytes, content_type: str | None, accept: str | None) -> bytes:
    """Run SageMaker's functions one after the other."""
    return output_fn(predict_fn(input_fn(body, content_type), model), accept)


def _synthetic_photo() -> bytes:
    """Return a JPEG as a phone would send it, of nothing in particular."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()
