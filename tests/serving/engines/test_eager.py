from pathlib import Path

import numpy as np
import pytest
import torch

from serving.engines.eager import EagerBuilder
from tests.serving.engines.conftest import eager_logits
from vision.check_photos import Photos
from vision.classifier import LoadedModel


@pytest.mark.parametrize("count", [1, 5])
def test_logits_are_those_of_the_network_as_it_was_trained(
    model: LoadedModel, photos: Photos, tmp_path: Path, count: int
) -> None:
    logits = EagerBuilder().build(model, tmp_path, None).logits(photos[:count])
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, eager_logits(model, photos[:count]), atol=1e-5)


def test_the_model_given_stays_as_it_is(model: LoadedModel, photos: Photos, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in model.classifier.state_dict().items()}
    EagerBuilder().build(model, tmp_path, None).logits(photos)
    after = model.classifier.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
