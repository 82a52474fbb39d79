"""The cached features: what the frozen backbone says about every photo, kept for the tuning's trials and the probe."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.names import FeaturesFile
from training.environment import JobInputError
from training.files import partial_file, write_text

FORMAT: Final = 2
_FILES: Final = {
    "train": (FeaturesFile.TRAIN_FEATURES, FeaturesFile.TRAIN_LABELS),
    "valid": (FeaturesFile.VALID_FEATURES, FeaturesFile.VALID_LABELS),
}


@dataclass(frozen=True)
class FeatureSpec:
    """Where features come from: what must be the same again wherever they are used.

    ``weights`` is what was asked for (``imagenet`` or ``none``), ``weights_origin`` where it was found and
    ``weights_digest`` a hash of what it was; ``precision`` is the number format in which the backbone computed.
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
    precision: str = "float32"


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
    """Write features that are in memory; see ``write_features``."""
    write_features(directory, features.spec, {"train": [features.train], "valid": [features.valid]})


def write_features(directory: Path, spec: FeatureSpec, splits: Mapping[str, Iterable[SplitFeatures]]) -> None:
    """Write the arrays, chunk by chunk, and then features.json, whose presence says that the folder is complete.

    Args:
        directory: made where it does not exist.
        spec: of all the features.
        splits: for train and valid, the split's features in chunks (at least one, possibly empty of photos).
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FeaturesFile.SPEC).unlink(missing_ok=True)
    for split, (features_file, labels_file) in _FILES.items():
        labels = _write_array(directory / features_file, splits[split])
        with partial_file(directory / labels_file) as file:
            np.save(file, labels)
    write_text(directory / FeaturesFile.SPEC, json.dumps({"format": FORMAT, **asdict(spec)}, indent=1))


def _write_array(path: Path, chunks: Iterable[SplitFeatures]) -> NDArray[np.int64]:
    """Write the chunks' features one after the other as one .npy array, and return their labels."""
    photos = 0
    labels: list[NDArray[np.int64]] = []
    with partial_file(path) as file:
        for chunk in chunks:
            array = chunk.features.to(torch.float16).contiguous().numpy()  # (n, K, D)
            if not labels:
                _write_header(file, (0, *array.shape[1:]))
            file.write(array.data)
            photos += len(array)
            labels.append(chunk.labels.numpy())
        file.seek(0)
        _write_header(file, (photos, *array.shape[1:]))
    return np.concatenate(labels)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write a .npy header; NumPy pads it, so that it is as long for any number of photos and can be written over."""
    header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]


def load_features(directory: Path) -> Features:
    """Map what ``write_features`` wrote into memory: nothing is read before it is looked at, and none of it is kept.

    Raises:
        JobInputError: the folder is empty, or its files are damaged or do not fit each other.
    """
    names = [FeaturesFile.SPEC, *(name for pair in _FILES.values() for name in pair)]
    if not all((directory / name).is_file() for name in names):
        raise JobInputError(
            f"{directory} holds no features: {', '.join(names)} expected; run extract_features.py and give its model "
            "folder"
        )
    try:
        spec = _spec(json.loads((directory / FeaturesFile.SPEC).read_text(encoding="utf-8")))
        train, valid = (_split(directory, split, spec) for split in _FILES)
    except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
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


def _split(directory: Path, split: str, spec: FeatureSpec) -> SplitFeatures:
    # "c": the arrays can be written to, as torch expects, and the files stay as they are.
    features, labels = (np.load(directory / name, mmap_mode="c", allow_pickle=False) for name in _FILES[split])
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
