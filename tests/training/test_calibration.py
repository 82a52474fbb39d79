import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.calibration import (
    BINS,
    COLDEST,
    HOTTEST,
    Bin,
    calibrate,
    confident_from,
    expected_calibration_error,
    fit_temperature,
    reliability,
)
from vision.calibration import Calibration


def drawn(photos: int, temperature: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return logits (photos, 5) and labels drawn from their probabilities at ``temperature``, the true one."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(photos, 5, generator=generator)
    return logits, torch.multinomial(torch.softmax(logits / temperature, 1), 1, generator=generator).squeeze(1)


def loss(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    return float(functional.cross_entropy(logits.double() / temperature, labels))


@pytest.mark.parametrize("true", [0.6, 1.0, 1.7, 3.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(true: float) -> None:
    assert fit_temperature(*drawn(20_000, true)) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_no_temperature_on_a_fine_grid_is_better(true: float) -> None:
    logits, labels = drawn(300, true)
    found = loss(logits, labels, fit_temperature(logits, labels))
    grid = torch.logspace(math.log10(COLDEST), math.log10(HOTTEST), 400)
    assert found <= min(loss(logits, labels, float(each)) for each in grid) + 1e-9


@pytest.mark.parametrize("seed", range(25))
def test_it_is_never_worse_than_none_on_the_photos_it_was_found_on(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    photos, classes = 1 + seed * 3, 2 + seed
    logits = (0.1 + seed) * torch.randn(photos, classes, generator=generator)
    labels = torch.randint(classes, (photos,), generator=generator)
    assert loss(logits, labels, fit_temperature(logits, labels)) <= loss(logits, labels)


def test_photos_without_a_mistake_make_a_model_no_surer_than_so_many_photos_can_show() -> None:
    logits = torch.eye(3).repeat(30, 1)  # right every time, and hardly sure
    labels = torch.arange(90) % 3
    temperature = fit_temperature(logits, labels)
    confidence = float(Calibration(temperature).probabilities(logits).amax(dim=1).mean())
    assert COLDEST < temperature < 1
    assert confidence == pytest.approx(91 / 92, abs=1e-6)


def test_a_model_that_is_sure_enough_without_a_mistake_stays_as_it_is() -> None:
    assert fit_temperature(100 * torch.eye(3).repeat(30, 1), torch.arange(90) % 3) == 1.0


def test_a_model_that_is_always_wrong_is_made_as_unsure_as_may_be() -> None:
    assert fit_temperature(torch.eye(3).repeat(30, 1) * 50, (torch.arange(90) + 1) % 3) == HOTTEST


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_left_alone(value: float) -> None:
    logits = torch.zeros(4, 2)
    logits[1, 1] = value
    assert calibrate(logits, torch.tensor([0, 1, 0, 1]), 0.9).temperature == 1.0


def test_equal_logits_are_left_alone() -> None:
    assert fit_temperature(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])) == 1.0


def test_the_error_is_the_mean_distance_of_accuracy_and_probability() -> None:
    bins = (Bin(0.0, 0.5, 10, 0.4, 0.6), Bin(0.5, 1.0, 30, 0.9, 0.8))
    assert expected_calibration_error(bins) == pytest.approx(0.25 * 0.2 + 0.75 * 0.1)


def test_every_photo_is_in_one_bin_and_limits_belong_below() -> None:
    best = torch.tensor([0.4, 0.68, 0.7, 1.0], dtype=torch.float64)
    probabilities = torch.stack([best, (1 - best) / 2, (1 - best) / 2], dim=1)
    bins = reliability(probabilities, torch.tensor([0, 1, 0, 0]))
    assert [(round(each.low * BINS), each.photos, each.accuracy) for each in bins] == [
        (5, 1, 1.0), (10, 2, 0.5), (14, 1, 1.0),
    ]  # fmt: skip


def test_a_calibrated_model_has_a_smaller_error() -> None:
    logits, labels = drawn(4000, 2.5)
    before = expected_calibration_error(reliability(Calibration().probabilities(logits), labels))
    fitted = calibrate(logits, labels, None)
    after = expected_calibration_error(reliability(fitted.probabilities(logits), labels))
    assert fitted.confident_from is None
    assert after < 0.03 < 0.1 < before


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("photos", [1, 7, 90])
def test_at_least_the_share_asked_for_reaches_the_threshold(share: float, photos: int) -> None:
    best = torch.rand(photos, generator=torch.Generator().manual_seed(0))
    threshold = confident_from(best, share)
    reached = float((best >= threshold).float().mean())
    assert share - 1e-6 <= reached <= share + 1 / photos + 1e-6


def test_a_threshold_for_probabilities_that_are_no_numbers_lets_all_pass() -> None:
    assert confident_from(torch.tensor([math.nan]), 0.9) == 0.0
