from pathlib import Path

import torch
from torch import nn

from contract.findings import Severity
from tests.training.rules.small_training import DIMENSIONS, SmallTraining, findings, network, points
from training.rules.changes import AllZero, ExplodingTensor, UnchangedTensor, VanishingGradient, WeightUpdateRatio


def _run(folder: Path, net: nn.Module | None = None, lr: float = 0.05, epochs: int = 3) -> object:
    return SmallTraining(folder, net or network(), points(), points(seed=1), lr=lr, epochs=epochs).run()


def _deep() -> nn.Module:
    """Return a network through whose sigmoids next to no gradient comes back."""
    torch.manual_seed(0)
    layers = [module for _ in range(12) for module in (nn.Linear(DIMENSIONS, DIMENSIONS), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(DIMENSIONS, 3))


def _dead() -> nn.Module:
    """Return a network whose first ReLU never answers, so that nothing before it learns."""
    net = network()
    first = net[0]
    assert isinstance(first, nn.Linear)
    nn.init.constant_(first.bias, -1000.0)
    return net


def test_gradients_vanish_behind_many_sigmoids(tmp_path: Path) -> None:
    found = findings(VanishingGradient, _run(tmp_path, _deep()))
    assert found[0].severity is Severity.WARNING
    assert "gradient/Sequential_0" in found[0].evidence
    assert "below 1e-07" in found[0].evidence


def test_a_head_that_starts_at_zero_has_no_vanishing_gradient(tmp_path: Path) -> None:
    head = nn.Linear(DIMENSIONS, 2)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    train = points((16, 16))  # as many of each class in the one batch: the bias's gradient is 0
    trial = SmallTraining(tmp_path, nn.Sequential(head), train, points((4, 4), seed=1), epochs=4).run()
    assert findings(VanishingGradient, trial) == []


def test_gradients_of_a_network_that_learns_do_not_vanish(tmp_path: Path) -> None:
    assert findings(VanishingGradient, _run(tmp_path)) == []


def test_a_learning_rate_that_makes_weights_infinite_is_found_as_an_error(tmp_path: Path) -> None:
    found = findings(ExplodingTensor, _run(tmp_path, lr=1e30))
    assert found[0].severity is Severity.ERROR
    assert found[0].step is not None
    assert found[0].step <= 3
    assert findings(ExplodingTensor, _run(tmp_path / "again", lr=1e30), only_nan=True)


def test_finite_tensors_do_not_explode(tmp_path: Path) -> None:
    assert findings(ExplodingTensor, _run(tmp_path, lr=1.0)) == []


def test_what_lies_before_a_dead_layer_has_gradients_of_zero(tmp_path: Path) -> None:
    found = findings(AllZero, _run(tmp_path, _dead()))
    assert "100 % of the values of gradient/Sequential_0.bias and 2 more" in found[0].evidence
    assert found[0].severity is Severity.WARNING


def test_a_head_that_starts_at_zero_is_none_of_it(tmp_path: Path) -> None:
    net = network()
    last = net[4]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    assert findings(AllZero, _run(tmp_path, net)) == []


def test_a_learning_rate_of_0_changes_nothing(tmp_path: Path) -> None:
    found = findings(UnchangedTensor, _run(tmp_path, lr=0.0))
    assert found[0].severity is Severity.ERROR
    assert "has not changed since step 0" in found[0].evidence


def test_weights_that_learn_change(tmp_path: Path) -> None:
    assert findings(UnchangedTensor, _run(tmp_path)) == []


def test_a_learning_rate_of_1000_throws_the_weights_away(tmp_path: Path) -> None:
    found = findings(WeightUpdateRatio, _run(tmp_path, lr=1000.0))
    assert found[0].severity is Severity.ERROR
    assert "times its size" in found[0].evidence


def test_a_learning_rate_of_next_to_nothing_hardly_moves_them(tmp_path: Path) -> None:
    found = findings(WeightUpdateRatio, _run(tmp_path, lr=1e-9))
    assert "Raise the learning rate" in found[0].advice


def test_updates_of_a_training_that_learns_are_neither(tmp_path: Path) -> None:
    trial = _run(tmp_path)
    assert findings(WeightUpdateRatio, trial) == []
    assert findings(WeightUpdateRatio, trial, num_steps=5) == []
