"""What an engine is held against: what the network said in float32 of photos that travel in the artifact."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from contract.names import ArtifactFile
from serving.engines.base import Engine, EngineUnavailableError
from serving.engines.eager import EagerBuilder
from serving.logs import logger
from vision.calibration import Calibration
from vision.check_photos import Agreement, CheckPhotos, Logits, Photos
from vision.classifier import LoadedModel

# Where the artifact has no photos: few, because eager PyTorch has to answer them first.
_SYNTHETIC_PHOTOS: Final = 32
# So many go through an engine at once: enough for all its streams, and little memory.
_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Reference:
    """Photos (N, 3, crop, crop), the logits (N, classes) of the network in float32, and where they come from."""

    photos: Photos
    logits: Logits
    origin: str
    calibration: Calibration

    def compare(self, engine: Engine) -> Agreement:
        """Let ``engine`` answer all photos.

        Raises:
            EngineUnavailableError: its logits are of another shape or no numbers.
        """
        parts = [
            checked_logits(engine, self.photos[i : i + _AT_ONCE], self.logits.shape[1])
            for i in range(0, len(self.photos), _AT_ONCE)
        ]
        return Agreement.of(np.concatenate(parts), self.logits, self.calibration)


def checked_logits(engine: Engine, photos: Photos, classes: int) -> Logits:
    """Return the logits (N, classes) of ``photos``.

    Raises:
        EngineUnavailableError: they are of another shape, or some are no numbers.
    """
    logits = engine.logits(photos)
    if logits.shape != (len(photos), classes):
        raise EngineUnavailableError(f"logits of shape {logits.shape} for {len(photos)} photos and {classes} classes")
    if not np.isfinite(logits).all():
        raise EngineUnavailableError(f"{np.count_nonzero(~np.isfinite(logits))} of {logits.size} logits are no numbers")
    return logits


def load_reference(directory: Path, model: LoadedModel) -> Reference:
    """Return the artifact's photos and logits, or eager PyTorch's on synthetic photos where it has none that fit."""
    path = directory / ArtifactFile.CHECK
    crop, classes = model.preprocessing.crop, len(model.classes)
    try:
        check = CheckPhotos.load(path)
        if check.photos.shape[1:] == (3, crop, crop) and check.logits.shape[1:] == (classes,):
            return Reference(check.photos, check.logits, str(ArtifactFile.CHECK), model.calibration)
        reason = f"photos {check.photos.shape} and logits {check.logits.shape} are not this network's"
    except FileNotFoundError:
        reason = "there is none"
    except ValueError as error:
        reason = str(error)
    logger.warning("no photos to check engines with (%s: %s): synthetic ones are used", ArtifactFile.CHECK, reason)
    photos = synthetic_photos(_SYNTHETIC_PHOTOS, crop)
    engine = EagerBuilder().build(model, directory, None)
    logits = np.concatenate([engine.logits(photos[i : i + _AT_ONCE]) for i in range(0, len(photos), _AT_ONCE)])
    return Reference(photos, logits, f"eager on {len(photos)} synthetic photos", model.calibration)


def synthetic_photos(count: int, crop: int) -> Photos:
    """Return (count, 3, crop, crop) coloured patches, always the same: large ones first, as in photos."""
    random = np.random.default_rng(0)
    photos = np.empty((count, 3, crop, crop), np.uint8)
    for index in range(count):
        patch = -(-crop // (2 + index))  # pixels
        patches = random.integers(0, 256, (3, 2 + index, 2 + index), dtype=np.uint8)
        photos[index] = patches.repeat(patch, 1).repeat(patch, 2)[:, :crop, :crop]
    return photos
