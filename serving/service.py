"""The model at work, as the application sees it: a body in, an answer out, whatever happens to the model process."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from contract.inference import JSON_TYPE, Answer, ErrorCode, Explanation, InferenceError, Options
from contract.serving import DEFAULT_SERVING, Serving
from serving.answers import answers, output
from serving.batching import Batching
from serving.cores import available_cores, devices
from serving.explain import overlay
from serving.incarnation import ModelDiedError, Recipe
from serving.loading import Photo
from serving.messages import Array
from serving.model_process import EngineError, ModelProcess
from serving.requests import Request, media_type_of, photos_in
from serving.scaling import scaled
from serving.slots import Slot, Slots
from serving.telemetry import Stage, Telemetry
from serving.worker import DEFAULT_LOADER
from vision.classifier import load_card

# A batch is stuck after this share of a request's time: what is left is for those that wait behind it.
_STUCK_SHARE: Final = 0.5
_DRAIN_POLL_SECONDS: Final = 0.02
# A full queue is shorter in a moment.
_MOMENT: Final = 1
# What is larger than this takes more than a millisecond to be taken apart, which would hold up everybody.
_LARGE_JSON: Final = 65_536


class ModelService:
    """Answers requests once ``start`` has loaded the model; used from one event loop.

    Attributes:
        card: what the artifact says of itself.
        networks: the model processes, one per device.
        batching: who waits for them.
        slots: where the photos lie.
        taken: how many photos are taken in and not answered yet.
    """

    def __init__(
        self,
        directory: Path,
        serving: Serving = DEFAULT_SERVING,
        telemetry: Telemetry | None = None,
        loader: str = DEFAULT_LOADER,
    ) -> None:
        """Take the artifact, how to serve it, and who counts. Nothing is started yet.

        Raises:
            vision.classifier.ArtifactError: the artifact is incomplete, damaged or of another format.
        """
        self.card = load_card(directory)
        self.taken = 0
        self.slots = Slots(serving.queue_photos, self.card.preprocessing.crop)
        self._serving = serving
        self._telemetry = telemetry or Telemetry()
        recipes = [
            Recipe(
                directory=directory,
                engine=serving.engine,
                batch_seconds=serving.timeout_seconds * _STUCK_SHARE,
                environment=environment,
                loader=loader,
            )
            for environment in devices()
        ]
        self.networks = [ModelProcess(recipe, self.slots, self._telemetry) for recipe in recipes]
        self.batching = Batching(self.networks, serving.batch_photos, serving.batch_wait_ms / 1000, self._telemetry)
        # Each thread decodes on one core of its own.
        self._threads = ThreadPoolExecutor(available_cores(), "decode", torch.set_num_threads, (1,))
        self._started = False

    @property
    def ready(self) -> bool:
        """Whether a model process answers photos now."""
        return self._started and any(network.ready for network in self.networks)

    @property
    def retry_after(self) -> int:
        """After how many seconds a client that found nothing ready may try again."""
        return max(_MOMENT, min(network.seconds_to_ready for network in self.networks))

    async def start(self) -> None:
        """Load the model on every device, and answer from then on.

        Raises:
            serving.incarnation.ModelLoadError: it cannot be loaded.
        """
        try:
            await asyncio.gather(*(network.start() for network in self.networks))
        except BaseException:
            await asyncio.gather(*(network.stop() for network in self.networks))
            raise
        self.batching.start()
        self._started = True

    async def stop(self) -> None:
        """Answer what has been taken in, within a request's time, and end the model processes."""
        deadline = time.monotonic() + self._serving.timeout_seconds
        while self.taken and time.monotonic() < deadline:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        self._started = False
        await self.batching.stop()
        await asyncio.gather(*(network.stop() for network in self.networks))
        await asyncio.to_thread(self._threads.shutdown)
        self.slots.close()

    async def answer(
        self, body: bytes | bytearray, content_type: str | None, options: Iterable[tuple[str, str]] = ()
    ) -> bytes:
        """Return the response's body, however long that takes; cancelled, the request leaves every queue.

        Args:
            body: as it came.
            content_type: the header.
            options: of query and header, see ``serving.requests.photos_in``.

        Raises:
            InferenceError: the request or its one photo cannot be used; UNAVAILABLE, with ``retry_after``: the model
                is not loaded, too many photos wait, or the model process died while it looked at the photo.
        """
        if not self._started:
            raise _unavailable("the model is still loading", self.retry_after)
        request = await self._request(body, content_type, options)
        with self._places(len(request.photos)):
            said = await self._each(request)
        return output(said, request.several)

    async def _request(
        self, body: bytes | bytearray, content_type: str | None, options: Iterable[tuple[str, str]]
    ) -> Request:
        """Take a body apart; a large one of JSON not on the event loop."""
        arguments = body, content_type, len(self.card.classes), options
        if len(body) < _LARGE_JSON or media_type_of(content_type) != JSON_TYPE:
            return photos_in(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, photos_in, *arguments)

    @contextmanager
    def _places(self, photos: int) -> Iterator[None]:
        """Count photos in and out; of more than there are places at all, each waits for a slot.

        Raises:
            InferenceError: UNAVAILABLE; so many places are not free.
        """
        photos = min(photos, self._serving.queue_photos)
        if self.taken + photos > self._serving.queue_photos:
            raise _unavailable(f"{self.taken} photos are waiting already: try again", _MOMENT)
        self.taken += photos
        try:
            yield
        finally:
            self.taken -= photos

    async def _each(self, request: Request) -> list[Answer | InferenceError]:
        """Answer every photo; one that cannot be used costs the others nothing."""
        if len(request.photos) == 1:
            return [await self._one(request.photos[0], request.options)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(photo, request.options)) for photo in request.photos]
        return [task.result() for task in tasks]

    async def _one(self, photo: bytes, options: Options) -> Answer | InferenceError:
        """Return the answer to one photo, or why there is none."""
        try:
            with await self.slots.acquire() as slot:
                with self.batching.coming():
                    await self._decode(photo, slot)
                logits = await self.batching.logits(slot)  # (classes,)
                answer = answers(logits[None], self.card, options.top)[0]
                return await self._explained(answer, slot, logits) if options.explain else answer
        except InferenceError as error:
            return error
        except ModelDiedError as error:
            return _unavailable(str(error), self.retry_after)
        except EngineError:
            return InferenceError(ErrorCode.INTERNAL, "the prediction failed: see the logs")

    async def _decode(self, photo: bytes, slot: Slot) -> None:
        """Put the scaled photo into its slot, in a thread, which holds the slot until it no longer writes there."""
        loop = asyncio.get_running_loop()
        slot.hold()
        decoding = self._threads.submit(self._scale_into, photo, slot.photo)
        decoding.add_done_callback(lambda _: loop.call_soon_threadsafe(slot.drop))
        await asyncio.wrap_future(decoding)

    def _scale_into(self, photo: bytes, place: Photo) -> None:
        started = time.perf_counter()
        place[:] = scaled(photo, self.card.preprocessing).numpy()  # (3, crop, crop)
        self._telemetry.observe(Stage.DECODE, time.perf_counter() - started)

    async def _explained(self, answer: Answer, slot: Slot, logits: Array) -> Answer:
        """Add a picture of where in the photo the network saw the most probable label."""
        (heat,) = await self.batching.explain(slot, [int(logits.argmax())])  # (crop, crop)
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(self._threads, overlay, slot.photo.copy(), heat)
        return replace(answer, explanation=Explanation(answer.predictions[0].label, picture))


def _unavailable(message: str, retry_after: int) -> InferenceError:
    return InferenceError(ErrorCode.UNAVAILABLE, message, retry_after)
