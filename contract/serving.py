"""What the stacks tell a model server, and what it assumes where they tell nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# How the network may be run. auto: the fastest of those that can run here and answer as the network was trained to.
ENGINES: Final = ("auto", "eager", "compiled", "openvino", "openvino-int8", "cuda")


class Variable(StrEnum):
    """Environment variables of the model's container."""

    ENGINE = "PEDIGREE_ENGINE"
    BATCH_PHOTOS = "PEDIGREE_BATCH_PHOTOS"
    BATCH_WAIT_MS = "PEDIGREE_BATCH_WAIT_MS"
    QUEUE_PHOTOS = "PEDIGREE_QUEUE_PHOTOS"
    TIMEOUT_SECONDS = "PEDIGREE_TIMEOUT_SECONDS"
    MODEL_PACKAGE = "PEDIGREE_MODEL_PACKAGE"  # by which the server says which version it is


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How photos are served.

    Attributes:
        engine: one of ENGINES.
        batch_photos: so many photos at once go through the network at most; 0: as many as the engine gains from.
        batch_wait_ms: so long a photo waits at most for others that are being decoded already; none waits for photos
            that nobody has sent.
        queue_photos: so many photos wait at most, decoded or not; the next is refused with 503.
        timeout_seconds: so long a request takes at most, then it is answered with 503; SageMaker gives up after 60.
    """

    engine: str = "auto"
    batch_photos: int = 0
    batch_wait_ms: int = 5
    queue_photos: int = 128
    timeout_seconds: int = 30


DEFAULT_SERVING: Final = Serving()
