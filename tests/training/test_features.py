import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from training.environment import JobInputError
from training.features import Features, SplitFeatures, load_features, save_features, write_features

FeatureMaker = Callable[..., Features]


def test_saved_and_loaded_features_are_the_same(tmp_path: Path, make_features: FeatureMaker) -> None:
    features = make_features(views=3)
    save_features(tmp_path, features)
    loaded = load_features(tmp_path)
    assert loaded.spec == features.spec
    assert torch.equal(loaded.train.features, features.train.features.half())
    assert torch.equal(loaded.valid.labels, features.valid.labels)


def test_an_empty_channel_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobInputError, match=rf"{tmp_path} holds no features"):
        load_features(tmp_path)


@pytest.mark.parametrize("name", ["train_features.npy", "valid_labels.npy", "features.json"])
def test_a_damaged_file_is_a_job_input_error(tmp_path: Path, make_features: FeatureMaker, name: str) -> None:
    save_features(tmp_path, make_features())
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(JobInputError, match="are damaged"):
        load_features(tmp_path)


def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path: Path, make_features: FeatureMaker) -> None:
    save_features(tmp_path, make_features())
    np.save(tmp_path / "train_labels.npy", np.load(tmp_path / "train_labels.npy")[:-1])
    with pytest.raises(JobInputError, match=r"train: features \(.*\) and labels"):
        load_features(tmp_path)


def test_a_label_beyond_the_classes_is_refused(tmp_path: Path, make_features: FeatureMaker) -> None:
    save_features(tmp_path, make_features())
    spec = json.loads((tmp_path / "features.json").read_text())
    spec["classes"] = spec["classes"][:-1]
    (tmp_path / "features.json").write_text(json.dumps(spec))
    with pytest.raises(JobInputError, match="from 0 to 1 expected"):
        load_features(tmp_path)


def test_another_format_is_refused(tmp_path: Path, make_features: FeatureMaker) -> None:
    save_features(tmp_path, make_features())
    spec = json.loads((tmp_path / "features.json").read_text())
    (tmp_path / "features.json").write_text(json.dumps({**spec, "format": 7}))
    with pytest.raises(JobInputError, match="format 7"):
        load_features(tmp_path)


def test_chunks_become_one_array(tmp_path: Path, make_features: FeatureMaker) -> None:
    features = make_features(views=2)
    pieces = zip(torch.split(features.train.features, 7), torch.split(features.train.labels, 7), strict=True)
    write_features(
        tmp_path, features.spec, {"train": (SplitFeatures(*piece) for piece in pieces), "valid": [features.valid]}
    )
    assert torch.equal(load_features(tmp_path).train.features, features.train.features)
    assert torch.equal(load_features(tmp_path).train.labels, features.train.labels)


def test_features_are_looked_at_in_their_file_and_never_written_back(
    tmp_path: Path, make_features: FeatureMaker
) -> None:
    save_features(tmp_path, make_features())
    before = (tmp_path / "train_features.npy").read_bytes()
    loaded = load_features(tmp_path)
    loaded.train.features.zero_()
    assert (tmp_path / "train_features.npy").read_bytes() == before


def test_features_half_written_over_others_are_not_taken_for_whole(tmp_path: Path, make_features: FeatureMaker) -> None:
    features = make_features()
    save_features(tmp_path, features)

    def breaks_off() -> Iterator[SplitFeatures]:
        yield features.train
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_features(tmp_path, features.spec, {"train": breaks_off(), "valid": [features.valid]})
    with pytest.raises(JobInputError, match="holds no features"):
        load_features(tmp_path)
