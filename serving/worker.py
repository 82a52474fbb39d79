"""The model process: ``python -m serving.worker LAUNCH``. Loads the network, reads photos from shared memory, answers.

It ends when the front closes the socket or dies, and not by the signals that ask the front to finish its work.
"""

import ctypes
import pkgutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from serving.loading import Loaded, LoadError, Photos
from serving.logs import configure_logging, logger
from serving.messages import Launch, Message
from serving.slots import map_photos

DEFAULT_LOADER: Final = "serving.loading:load"
# After so many failures in a row it is not the photos: a GPU that has failed once fails until its process has ended.
_FAILURES: Final = 3
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


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
