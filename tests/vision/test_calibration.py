import math

import pytest
import torch

from vision.calibration import UNCALIBRATED, Calibration

LOGITS = torch.tensor([2.0, 1.0, -1.0])


def test_uncalibrated_probabilities_are_the_softmax_of_the_logits() -> None:
    assert torch.equal(UNCALIBRATED.probabilities(LOGITS), torch.softmax(LOGITS, dim=0))


def test_a_higher_temperature_makes_a_model_less_sure_of_the_same_label() -> None:
    warm = Calibration(3.0).probabilities(LOGITS)
    assert warm.argmax() == LOGITS.argmax()
    assert warm.max() < UNCALIBRATED.probabilities(LOGITS).max()
    assert float(warm.sum()) == pytest.approx(1)


def test_the_threshold_itself_is_still_sure() -> None:
    probabilities = torch.tensor([0.25, 0.75])
    assert Calibration(1.0, 0.75).confident(probabilities) is True
    assert Calibration(1.0, 0.76).confident(probabilities) is False
    assert UNCALIBRATED.confident(probabilities) is None


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="a number above 0 expected"):
        Calibration(temperature)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_an_impossible_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1 expected"):
        Calibration(1.0, threshold)


@pytest.mark.parametrize("calibration", [UNCALIBRATED, Calibration(1.5, 0.5)])
def test_it_is_read_as_it_was_written(calibration: Calibration) -> None:
    assert Calibration.from_dict(calibration.as_dict()) == calibration
