"""What every engine is: photos in, logits out, on one device."""

from pathlib import Path
from typing import Protocol

from vision.check_photos import Logits, Photos
from vision.classifier import LoadedModel


class EngineUnavailableError(Exception):
    """This engine cannot run here, or must not; the message says why."""


class Engine(Protocol):
    """A network at work. One thread at a time may call it."""

    @property
    def name(self) -> str:
        """One of ``contract.serving.ENGINES``, with what it computes in where that depends on the machine."""

    def logits(self, photos: Photos) -> Logits:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes) float32, for any N from 1 on."""


class EngineBuilder(Protocol):
    """Makes one kind of engine."""

    @property
    def kind(self) -> str:
        """One of ``contract.serving.ENGINES``, except auto."""

    @property
    def name(self) -> str:
        """The name of the engine that it makes; no other builder's makes one of this name."""

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        """Return the engine for ``model``, read from the artifact in ``directory``.

        ``cache`` is a folder for this artifact on this machine and with these versions, in which a builder keeps what
        takes long to make; it may be empty or damaged; None: there is none.

        Raises:
            EngineUnavailableError: hardware, a package or a file is missing.
        """
