"""An engine that does what a photo tells it to, for tests of all that is around the network: a grey value, an order."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np

from serving.loading import Loaded, LoadError, Photo, Photos
from serving.messages import Array

CLASSES = 6
DIES, HANGS, FAILS = 253, 252, 251
# While this file is in the artifact's folder, the network is at work.
HOLD = "hold"
# One line per batch: the grey values of its photos.
BATCHES = "batches"
# With this file there, nothing can be loaded; its text is the reason.
UNLOADABLE = "unloadable"
BATCH = 4


class ObedientEngine:
    """Names a photo by its grey value: the logits are value, 0, 0, ..."""

    name = "obedient"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def logits(self, photos: Photos) -> Array:
        values = photos.mean(axis=(1, 2, 3))  # (N,)
        with (self._directory / BATCHES).open("a") as file:
            file.write(" ".join(f"{value:.0f}" for value in values) + "\n")
        while (self._directory / HOLD).exists():
            time.sleep(0.001)
        orders = {round(value) for value in values}
        if DIES in orders:
            os.kill(os.getpid(), signal.SIGKILL)
        if HANGS in orders:
            time.sleep(600)
        if FAILS in orders:
            raise RuntimeError("no such kernel")
        logits = np.zeros((len(photos), CLASSES), np.float32)
        logits[:, 0] = values
        return logits


def load(directory: Path, engine: str) -> Loaded:
    unloadable = directory / UNLOADABLE
    if unloadable.exists():
        raise LoadError(unloadable.read_text())

    def explain(photo: Photo, classes: list[int]) -> Array:
        heat = photo[0, :2, :2].astype(np.float32) / 255  # (2, 2)
        return np.stack([heat * (number + 1) for number in classes])

    return Loaded(ObedientEngine(directory), BATCH, {"pick": engine}, explain)


def leave(directory: Path, engine: str) -> Loaded:
    os._exit(3)


def nonsense(directory: Path, engine: str) -> Loaded:
    class Nonsense(ObedientEngine):
        def logits(self, photos: Photos) -> Array:
            return np.full((len(photos), CLASSES), np.nan, np.float32)

    return dataclasses.replace(load(directory, engine), engine=Nonsense(directory))
