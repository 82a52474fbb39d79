"""What the final training works on: its folders, its settings, and inputs that belong together."""

from dataclasses import dataclass, field
from pathlib import Path

from contract.inference import KNOWN_SHARE
from contract.recipe import Recipe
from contract.rules import TENSOR_RULES
from contract.search_space import Hyperparameters
from training.environment import JobInputError
from training.features import Features, load_features
from training.photo_set import PhotoReader, PhotoSet, open_photo_set
from training.provenance import UNKNOWN_REVISION


@dataclass(frozen=True)
class Folders:
    """Inputs and outputs of the job; ``tuning`` is only needed for the report."""

    prepared: Path
    features: Path
    tuning: Path | None
    model: Path
    output: Path
    checkpoints: Path


@dataclass(frozen=True)
class Settings:
    """The options of the job; None where the backbone or the device decides.

    ``profiled`` says whether the training's time is looked at, ``loader_threads`` how many decode photos (None: one per
    core). ``known_share`` is the share of the validation photos that the model is to be sure of,
    ``source_revision`` that of the code. ``rules`` are those of contract/rules.py that look on, and ``stop_early`` says
    whether what they find may end the training.
    """

    hyperparameters: Hyperparameters
    fine_tune_epochs: int
    recipe: Recipe = field(default_factory=Recipe)
    fine_tune_views: int | None = None
    weights_uri: str | None = None
    seed: int = 0
    known_share: float | None = KNOWN_SHARE
    source_revision: str = UNKNOWN_REVISION
    profiled: bool = True
    loader_threads: int | None = None
    rules: tuple[str, ...] = TENSOR_RULES
    stop_early: bool = True


@dataclass(frozen=True)
class Inputs:
    """The photos and the features that were made from them."""

    photos: PhotoSet
    features: Features
    reader: PhotoReader


def open_inputs(folders: Folders) -> Inputs:
    """Open the prepared photos and their features.

    Raises:
        JobInputError: one of them cannot be used, or the features are of other classes or other photos.
    """
    photos, features = open_photo_set(folders.prepared), load_features(folders.features)
    if features.spec.classes != photos.classes.folders:
        differing = sorted(set(features.spec.classes) ^ set(photos.classes.folders))
        raise JobInputError(
            f"the features in {folders.features} are of other classes than the photos in {folders.prepared} "
            f"(only in one of them: {', '.join(differing[:10]) or 'none, but in another order'}); "
            "run extract_features.py on these photos"
        )
    if features.spec.fingerprint != photos.fingerprint:
        raise JobInputError(
            f"the features in {folders.features} are of other photos (fingerprint {features.spec.fingerprint}) than "
            f"those in {folders.prepared} ({photos.fingerprint}); run extract_features.py on these photos"
        )
    return Inputs(photos, features, PhotoReader(folders.prepared))
