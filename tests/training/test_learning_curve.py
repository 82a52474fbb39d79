import math

import pytest

from training.history import Epoch, Phase
from training.learning_curve import VerdictKind, judge


def curve(
    train: list[float], valid: list[float], accuracies: tuple[float, float] = (0.9, 0.9), phase: Phase = "probe"
) -> list[Epoch]:
    pairs = enumerate(zip(train, valid, strict=True), start=1)
    return [Epoch(number, phase, t, accuracies[0], v, accuracies[1], 1.0) for number, (t, v) in pairs]


def test_lines_that_meet_low_are_a_good_fit() -> None:
    verdict = judge(curve([1.2, 0.5, 0.2, 0.12, 0.1], [1.3, 0.6, 0.3, 0.22, 0.2]), classes=10)
    assert verdict.kind == VerdictKind.GOOD_FIT
    assert "meet low (training loss 0.12, validation loss 0.22, guessing would be 2.30)" in verdict.text


def test_lines_that_stay_apart_are_overfitting() -> None:
    verdict = judge(curve([1.0, 0.3, 0.1, 0.05, 0.02], [1.3, 1.0, 0.9, 0.9, 0.9], (0.99, 0.75)), classes=10)
    assert verdict.kind == VerdictKind.OVERFITTING
    assert "stay apart" in verdict.text
    assert "99% right" in verdict.text
    assert "75% right" in verdict.text


def test_lines_that_meet_high_are_underfitting() -> None:
    verdict = judge(curve([2.2, 1.8, 1.7, 1.69, 1.69], [2.2, 1.9, 1.8, 1.78, 1.78], (0.4, 0.38)), classes=10)
    assert verdict.kind == VerdictKind.UNDERFITTING
    assert "meet high" in verdict.text
    assert "40%" in verdict.text
    assert "has settled" in verdict.advice


def test_high_lines_that_still_fall_want_more_epochs() -> None:
    verdict = judge(curve([2.2, 1.9, 1.6, 1.4], [2.2, 1.9, 1.7, 1.5]), classes=10)
    assert verdict.kind == VerdictKind.UNDERFITTING
    assert "train for more epochs" in verdict.advice


def test_high_lines_that_lie_apart_are_underfitting_first() -> None:
    verdict = judge(curve([2.2, 1.5, 1.4, 1.4], [2.3, 2.0, 1.9, 1.9]), classes=10)
    assert verdict.kind == VerdictKind.UNDERFITTING
    assert "stay high and apart" in verdict.text


def test_a_validation_loss_that_rises_again_is_overfitting_even_near_the_other_line() -> None:
    verdict = judge(curve([0.5, 0.3, 0.29, 0.28, 0.27], [0.35, 0.3, 0.42, 0.46, 0.48]), classes=10)
    assert verdict.kind == VerdictKind.OVERFITTING
    assert "risen since epoch 2" in verdict.text


def test_a_model_too_sure_of_itself_is_told_from_one_that_errs() -> None:
    verdict = judge(curve([0.5, 0.1, 0.0, 0.0], [0.6, 0.6, 0.6, 0.6], (1.0, 0.97)), classes=8)
    assert verdict.kind == VerdictKind.OVERFITTING
    assert "far too sure of itself" in verdict.text


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_divergence(bad: float) -> None:
    verdict = judge(curve([1.0, bad], [1.0, 1.0]), classes=10)
    assert verdict.kind == VerdictKind.DIVERGED
    assert "epoch 2" in verdict.text


def test_a_loss_that_climbs_above_guessing_is_divergence() -> None:
    assert judge(curve([1.0, 3.0, 8.0, 20.0], [1.0, 3.0, 8.0, 20.0]), classes=10).kind == VerdictKind.DIVERGED


def test_a_loss_that_never_leaves_guessing_is_underfitting() -> None:
    assert judge(curve([2.31, 2.3, 2.3, 2.3], [2.31, 2.3, 2.3, 2.3]), classes=10).kind == VerdictKind.UNDERFITTING


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_too_few_epochs_give_no_verdict(epochs: int) -> None:
    verdict = judge(curve([0.1] * epochs, [0.1] * epochs), classes=10)
    assert verdict.kind == VerdictKind.TOO_SHORT
    assert f"{epochs} epoch{'' if epochs == 1 else 's'}:" in verdict.text


def test_the_same_losses_mean_more_for_more_classes() -> None:
    epochs = curve([1.5, 1.2, 1.1, 1.1], [1.6, 1.3, 1.2, 1.2])
    assert judge(epochs, classes=8).kind == VerdictKind.UNDERFITTING
    assert judge(epochs, classes=133).kind == VerdictKind.GOOD_FIT


def test_the_end_is_that_of_the_last_phase() -> None:
    probe = curve([1.9, 1.7, 1.6, 1.5], [1.9, 1.7, 1.6, 1.5])
    tuned = [Epoch(5, "fine-tune", 0.2, 0.95, 0.3, 0.93, 9.0), Epoch(6, "fine-tune", 0.15, 0.96, 0.28, 0.94, 9.0)]
    assert judge([*probe, *tuned], classes=10).kind == VerdictKind.GOOD_FIT


def test_one_jump_at_the_end_decides_nothing() -> None:
    history = curve([0.5, 0.2, 0.1, 0.1, 0.1], [0.5, 0.25, 0.2, 0.2, 0.9])
    assert judge(history, classes=10).kind == VerdictKind.GOOD_FIT


def test_one_class_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="2 classes or more, got 1"):
        judge([], classes=1)
