from pathlib import Path

import torch
from torch import nn

from tests.training.rules.small_training import SmallTraining, findings, network, points
from training.rules.variances import PoorWeightInitialization, TensorVariance


def _run(folder: Path, net: nn.Module, lr: float = 0.05) -> object:
    return SmallTraining(folder, net, points(), points(seed=1), lr=lr, epochs=3).run()


@torch.no_grad()
def _scaled(factor: float) -> nn.Module:
    net = network()
    for parameter in net.parameters():
        parameter.mul_(factor)
    return net


def test_weights_that_are_all_zero_are_a_poor_start(tmp_path: Path) -> None:
    found = findings(PoorWeightInitialization, _run(tmp_path, _scaled(0.0)))
    assert "were the same for all nodes and photos" in found[0].evidence
    assert "gradients were as narrow" in found[0].evidence
    assert found[0].step == 6  # the sixth training step, after a validation


def test_weights_that_are_far_too_large_are_a_poor_start(tmp_path: Path) -> None:
    found = findings(PoorWeightInitialization, _run(tmp_path, _scaled(100.0), lr=1e-9))
    assert "had a variance of" in found[0].evidence
    assert "(guessing costs 1.1)" in found[0].evidence


def test_a_usual_start_is_none(tmp_path: Path) -> None:
    assert findings(PoorWeightInitialization, _run(tmp_path, network())) == []


def test_a_learning_rate_that_spoils_a_good_start_is_not_the_start_s_fault(tmp_path: Path) -> None:
    assert findings(PoorWeightInitialization, _run(tmp_path, network(), lr=1000.0)) == []


def test_inputs_that_explode_without_being_infinite_yet_are_found(tmp_path: Path) -> None:
    found = findings(TensorVariance, _run(tmp_path, _scaled(200.0), lr=1e-9))
    assert "above 10000" in found[0].evidence
    assert "Lower the learning rate" in found[0].advice


def test_inputs_that_are_the_same_for_every_photo_are_found(tmp_path: Path) -> None:
    found = findings(TensorVariance, _run(tmp_path, _scaled(0.0)))
    assert "below 1e-07" in found[0].evidence


def test_the_variances_of_a_healthy_training_are_within_bounds(tmp_path: Path) -> None:
    assert findings(TensorVariance, _run(tmp_path, network())) == []


def test_a_collection_may_be_looked_at_instead_by_its_saved_deviations(tmp_path: Path) -> None:
    trial = _run(tmp_path, network())
    found = findings(TensorVariance, trial, collection_names="weights", tensor_regex="", max_threshold=1e-6)
    assert "Sequential_" in found[0].evidence
    assert ".weight" in found[0].evidence
