"""The cached features: what the frozen backbone says about every photo, kept for the tuning's trials and the probe."""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from contract.names import FeaturesFile
from training.environment import JobInputError
from training.files import write_text

FORMAT: Final = 1


@dataclass(frozen=True)
class FeatureSpec:
    """Where features come from: what must be the same again wherever they are used.

    ``weights`` is what was asked for (``imagenet`` or ``none``), ``weights_origin`` where it was found and
    ``weights_digest`` a hash of what it was.
    """

    classes: tuple[str, ...]
    fingerprint: str
    backbone: str
    weights: str
    weights_origin: str
    weights_digest: str
    seed: int
    feature_dim: int
    views: int
    preprocessing: dict[str, Any]
    counts: dict[str, int]
    left_out: tuple[str, ...]
    notice: str | None


@dataclass(frozen=True)
class SplitFeatures:
    """Features (N, K views, D) float16 of one split; view 0 is what serving would see. Labels (N,) int64."""

    features: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Features:
    """What extract_features.py leaves; the test set is not among it, so nothing can be tuned on it."""

    spec: FeatureSpec
    train: SplitFeatures
    valid: SplitFeatures


def save_features(directory: Path, features: Features) -> None:
    """Write features.npz and then features.json, whose presence says that the folder is complete."""
    directory.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    for split in ("train", "valid"):
        part: SplitFeatures = getattr(features, split)
        arrays[f"{split}_features"] = part.features.to(torch.float16).numpy()
        arrays[f"{split}_labels"] = part.labels.numpy()
    partial = directory / f"{FeaturesFile.ARRAYS}.partial.npz"
    np.savez(partial, **arrays)
    partial.replace(directory / FeaturesFile.ARRAYS)
    write_text(directory / FeaturesFile.SPEC, json.dumps({"format": FORMAT, **asdict(features.spec)}, indent=1))


def load_features(directory: Path) -> Features:
    """Read what ``save_features`` wrote.

    Raises:
        JobInputError: the folder is empty, or its files are damaged or do not fit each other.
    """
    spec_path, arrays_path = directory / FeaturesFile.SPEC, directory / FeaturesFile.ARRAYS
    if not spec_path.is_file() or not arrays_path.is_file():
        raise JobInputError(
            f"{directory} holds no features: {FeaturesFile.SPEC} and {FeaturesFile.ARRAYS} expected; "
            "run extract_features.py and give its model folder"
        )
    try:
        spec = _spec(json.loads(spec_path.read_text(encoding="utf-8")))
        with arrays_path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            train, valid = (_split(arrays, split, spec) for split in ("train", "valid"))
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise JobInputError(
            f"the features in {directory} are damaged: {error}; run extract_features.py again"
        ) from error
    return Features(spec, train, valid)


def _spec(values: dict[str, Any]) -> FeatureSpec:
    found = values.pop("format")
    if found != FORMAT:
        raise ValueError(f"format {found}, this code reads format {FORMAT}")
    values["classes"] = tuple(values["classes"])
    values["left_out"] = tuple(values["left_out"])
    return FeatureSpec(**values)


def _split(arrays: Any, split: str, spec: FeatureSpec) -> SplitFeatures:
    features, labels = arrays[f"{split}_features"], arrays[f"{split}_labels"]
    if features.ndim != 3 or features.shape[0] != labels.shape[0] or features.shape[2] != spec.feature_dim:
        raise ValueError(
            f"{split}: features {features.shape} and labels {labels.shape}, "
            f"but (photos, views, {spec.feature_dim}) and (photos,) expected"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= len(spec.classes):
        raise ValueError(
            f"{split}: {len(labels)} labels, at least one and all from 0 to {len(spec.classes) - 1} expected"
        )
    return SplitFeatures(torch.from_numpy(features), torch.from_numpy(labels))
