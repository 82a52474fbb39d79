from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from contract.findings import Severity
from tests.training.rules.small_training import DIMENSIONS, Points, SmallTraining, findings, network, points
from training.rules.losses import LossNotDecreasing, Overfit, Overtraining


def _training(folder: Path, epochs: int = 11, lr: float = 0.05) -> SmallTraining:
    return SmallTraining(folder, network(), points(), points(seed=1), lr=lr, epochs=epochs)


def _by_heart(folder: Path) -> SmallTraining:
    """Return a training on labels that were drawn by lot, of a network large enough to learn them by heart."""
    torch.manual_seed(0)
    drawn = [Points(points(seed=seed).values, torch.randint(3, (120,))) for seed in (0, 1)]
    net = nn.Sequential(nn.Linear(DIMENSIONS, 256), nn.ReLU(), nn.Linear(256, 3))
    return SmallTraining(folder, net, drawn[0], drawn[1], lr=0.5, epochs=30, batch=120)


def test_a_learning_rate_of_1000_is_an_error_after_a_few_batches(tmp_path: Path) -> None:
    found = findings(LossNotDecreasing, _training(tmp_path, lr=1000.0).run())
    assert found[0].severity is Severity.ERROR
    assert found[0].step is not None
    assert found[0].step < 20
    assert "A model that guesses has a loss of 1.1" in found[0].evidence
    assert "Lower the learning rate" in found[0].advice


def test_a_learning_rate_of_0_does_not_decrease_the_validation_loss(tmp_path: Path) -> None:
    (found,) = findings(LossNotDecreasing, _training(tmp_path, lr=0.0).run())
    assert "The validation loss was" in found.evidence


def test_a_training_that_learns_decreases_its_loss(tmp_path: Path) -> None:
    assert findings(LossNotDecreasing, _training(tmp_path).run()) == []


def test_a_loss_can_be_asked_to_decrease_by_so_much(tmp_path: Path) -> None:
    trial = _training(tmp_path).run()
    assert findings(LossNotDecreasing, trial, diff_percent=99.9)
    assert findings(LossNotDecreasing, trial, diff_percent=99.9, mode="EVAL", num_steps=100) == []


def test_labels_learned_by_heart_are_overfit(tmp_path: Path) -> None:
    found = findings(Overfit, _by_heart(tmp_path).run())
    assert found[-1].severity is Severity.WARNING
    assert "by heart" in found[-1].meaning
    assert "times the training loss" in found[-1].evidence


def test_a_few_epochs_on_points_that_can_be_told_apart_are_not_overfit(tmp_path: Path) -> None:
    assert findings(Overfit, replace(_training(tmp_path), lr=0.01, epochs=3).run()) == []


def test_a_small_loss_that_wavers_is_nothing_to_warn_of(tmp_path: Path) -> None:
    trial = replace(_training(tmp_path), lr=0.5).run()
    rule, last = Overfit(trial), trial.steps()[-1]
    for step in trial.steps():
        rule.invoke_at_step(step)
    # Epochs of a healthy fine-tuning on 726 dogs: a third more than the best loss, of a model that names every photo.
    small = rule.judge(last, 0.0123, 0.0236)
    large = rule.judge(last, 0.0123, 0.2)
    by_heart = rule.judge(last, 0.00049, 2.67)
    assert small is not None
    assert large is not None
    assert by_heart is not None
    assert "5,449 times the training loss" in by_heart.evidence
    assert (small.severity, large.severity) == (Severity.INFO, Severity.WARNING)


def test_epochs_after_which_the_model_only_becomes_worse_are_overtraining(tmp_path: Path) -> None:
    found = findings(Overtraining, _by_heart(tmp_path).run(), patience_train=5, patience_validation=10)
    assert found[-1].severity is Severity.WARNING
    assert "Fewer epochs" in found[-1].advice


def test_a_training_that_ends_while_it_learns_is_not_overtrained(tmp_path: Path) -> None:
    assert findings(Overtraining, _training(tmp_path, epochs=8).run()) == []
