from pathlib import Path

import torch
from torch import nn

from contract.findings import Severity
from tests.training.rules.small_training import SmallTraining, findings, network, points
from training.rules.activations import DeadRelu, SaturatedActivation


def _training(folder: Path, net: nn.Module, **settings: float) -> SmallTraining:
    return SmallTraining(folder, net, points(), points(seed=1), epochs=2, **settings)  # type: ignore[arg-type]


@torch.no_grad()
def _add(layer: nn.Module, number: float) -> None:
    assert isinstance(layer, nn.Linear)
    layer.bias.add_(number)


def test_relus_pushed_below_zero_for_good_are_found_with_their_layer(tmp_path: Path) -> None:
    dead = network()
    _add(dead[2], -1000.0)
    found = findings(DeadRelu, _training(tmp_path, dead).run())
    assert (found[0].step, found[0].severity) == (0, Severity.ERROR)
    assert "100 % of the nodes of Sequential_3_relu_output_0" in found[0].evidence
    assert "1 of 2 ReLU layers" in found[0].evidence


def test_relus_killed_by_one_step_that_is_too_large_are_found_when_they_die(tmp_path: Path) -> None:
    found = findings(DeadRelu, _training(tmp_path, network(), lr=30.0).run())
    assert found
    assert found[0].step


def test_relus_of_a_healthy_training_live(tmp_path: Path) -> None:
    assert findings(DeadRelu, _training(tmp_path, network()).run()) == []


def test_a_last_batch_of_one_photo_says_nothing_of_dead_relus(tmp_path: Path) -> None:
    small = SmallTraining(tmp_path, network(), points((11, 11, 11)), points(seed=1), epochs=2)
    assert findings(DeadRelu, small.run()) == []


def test_relu6_pushed_above_six_is_saturated_and_not_dead(tmp_path: Path) -> None:
    saturated = network(nn.ReLU6)
    _add(saturated[0], 1000.0)
    trial = _training(tmp_path, saturated, lr=0.0).run()
    found = findings(SaturatedActivation, trial)
    assert "100 % of the nodes of Sequential_1_relu6_input_0 had inputs outside -inf to 6" in found[0].evidence
    assert found[0].step == 0
    assert not [row for row in findings(DeadRelu, trial) if "Sequential_1" in row.evidence]


def test_tanh_and_sigmoid_far_from_zero_are_saturated(tmp_path: Path) -> None:
    for activation, far in ((nn.Tanh, 100.0), (nn.Sigmoid, -100.0)):
        saturated = network(activation)
        _add(saturated[2], far)
        found = findings(SaturatedActivation, _training(tmp_path / activation.__name__, saturated).run())
        assert f"Sequential_3_{activation.__name__.lower()}_input_0" in found[0].evidence


def test_activations_of_a_healthy_training_are_not_saturated(tmp_path: Path) -> None:
    for activation in (nn.ReLU6, nn.Tanh, nn.Sigmoid):
        trial = _training(tmp_path / activation.__name__, network(activation)).run()
        assert findings(SaturatedActivation, trial) == []
