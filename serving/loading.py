"""What a model process works with: the network on its device, ready, with what goes with it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serving.cores import available_cores
from serving.messages import Array

if TYPE_CHECKING:  # this module needs no torch, whose import takes seconds, before there is an artifact to load
    from serving.engines.base import Engine

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
    from serving.explain import heat_maps
    from vision.classifier import ArtifactError, load_artifact

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(available_cores())
    try:
        model = load_artifact(directory)
        chosen = choose(directory, model, engine)
    except (ArtifactError, EngineUnavailableError) as error:
        raise LoadError(str(error)) from error

    def explain(photo: Photo, classes: list[int]) -> Array:
        return heat_maps(model, np.stack([photo] * len(classes)), classes)

    return Loaded(chosen.engine, chosen.batch, chosen.facts, explain)
