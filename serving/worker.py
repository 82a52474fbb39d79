"""The model process: ``python -m serving.worker LAUNCH``. Loads the network, reads photos from shared memory, answers.

It ends when the front closes the socket or dies, and not by the signals that ask the front to finish its work.
"""

import ctypes
import os
import pkgutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.cores import available_cores
from serving.logs import configure_logging, logger
from serving.messages import Array, Launch, Message
from serving.slots import map_photos

if TYPE_CHECKING:  # the rest of this module needs no torch, whose import takes seconds
    from serving.engines.base import Engine

DEFAULT_LOADER: Final = "serving.worker:load"
# After so many failures in a row it is not the photos: a GPU that has failed once fails until its process has ended.
_FAILURES: Final = 3
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h

Photo = NDArray[np.uint8]  # (3, crop, crop)
Photos = NDArray[np.uint8]  # (N, 3, crop, crop)


class LoadError(Exception):
    """The artifact or what it asks for cannot be used here; the message says all there is to know."""


@dataclass(frozen=True)
class Loaded:
    """A network ready to work.

    Attributes:
        engine: what runs it.
        batch: so many photos at once are worth it.
        facts: what the log is told about the choice.
        explain: maps a photo and class indices (n,) to heat maps (n, h, w) of 0 to 1.
    """

    engine: "Engine"
    batch: int
    facts: dict[str, Any]
    explain: Callable[[Photo, list[int]], Array]


def load(directory: Path, engine: str) -> Loaded:
    """Load the artifact and choose how to run it.

    Raises:
        LoadError: the artifact is incomplete, damaged or of another format, or ``engine`` cannot run here.
    """
    import torch

    from serving.engines.base import EngineUnavailableError
    from serving.engines.choice import choose
    from vision.classifier import ArtifactError, load_artifact

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(available_cores())
    try:
        model = load_artifact(directory)
        chosen = choose(directory, model, engine)
    except (ArtifactError, EngineUnavailableError) as error:
        raise LoadError(str(error)) from error
    return Loaded(chosen.engine, chosen.batch, chosen.facts, _explain)


def _explain(photo: Photo, classes: list[int]) -> Array:
    raise NotImplementedError


def main() -> None:
    """Work until the front closes the socket."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":  # dies with the front also while the network is at work
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    configure_logging()
    launch = Launch.from_argument(sys.argv[1])
    photos = map_photos(launch.memory, launch.slots, launch.crop)  # (slots, 3, crop, crop)
    with socket.socket(fileno=launch.socket) as connection, suppress(ConnectionError):  # the front has gone: the end
        try:
            loaded = _load(launch)
        except Exception as error:  # noqa: BLE001  whatever it is, the front has to know it
            reason = str(error) if isinstance(error, LoadError) else repr(error)
            logger.exception("the model has not loaded")
            connection.sendall(Message("failed", {"reason": reason}).encode())
            sys.exit(1)
        connection.sendall(Message("ready", {"batch": loaded.batch, "facts": loaded.facts}).encode())
        work(connection, photos, loaded)


def _load(launch: Launch) -> Loaded:
    """Load the model, and let it answer a photo: the first user does not pay for the first prediction."""
    loader: Callable[[Path, str], Loaded] = pkgutil.resolve_name(launch.loader)
    loaded = loader(Path(launch.directory), launch.engine)
    logits = loaded.engine.logits(np.full((1, 3, launch.crop, launch.crop), 128, np.uint8))  # (1, classes)
    if not np.isfinite(logits).all():
        raise LoadError(f"the model in {launch.directory} answers a grey photo with {logits.tolist()}")
    return loaded


def work(connection: socket.socket, photos: Photos, loaded: Loaded) -> None:
    """Answer one question after the other until the other side closes."""
    failures = 0
    with connection.makefile("rb") as file:
        while (question := Message.read(file)) is not None:
            try:
                answer = _answer(question, photos, loaded)
                failures = 0
            except Exception as error:  # noqa: BLE001  whatever it is, the front has to know it
                failures += 1
                logger.exception("the network failed")
                answer = Message("error", {"reason": repr(error)[:1000]})
            connection.sendall(answer.encode())
            if failures == _FAILURES:
                logger.error("%d failures in a row: the model process ends, and another one takes its place", failures)
                sys.exit(1)


def _answer(question: Message, photos: Photos, loaded: Loaded) -> Message:
    slots: list[int] = question.fields["slots"]
    if question.kind == "logits":
        return Message("logits", {}, loaded.engine.logits(photos[slots]))  # (N, classes)
    if question.kind == "explain":
        return Message("maps", {}, loaded.explain(photos[slots[0]].copy(), question.fields["classes"]))
    return Message("error", {"reason": f"no such question: {question.kind}"})


if __name__ == "__main__":
    main()
