from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.rules.small_training import Points, SmallTraining, findings, network, points
from training.rules.classes import ClassImbalance, Confusion, share_bounds

EPOCHS = 5


def _run(folder: Path, train: Points, valid: Points, lr: float = 0.05) -> Any:
    classes = int(valid.labels.max()) + 1
    net = network(classes=classes)
    return SmallTraining(folder, net, train, valid, lr=lr, epochs=EPOCHS, layers_too=False).run()


def _swapped(data: Points, one: int, other: int) -> Points:
    labels = data.labels.clone()
    labels[data.labels == one], labels[data.labels == other] = other, one
    return Points(data.values, labels)


def test_a_class_with_a_fortieth_of_the_photos_is_found(tmp_path: Path) -> None:
    found = findings(ClassImbalance, _run(tmp_path, points((160, 160, 4)), points(seed=1)))
    assert "and class 2" in found[0].evidence
    assert "10 times as many is expected at most" in found[0].evidence


def test_a_class_that_is_never_learned_is_found(tmp_path: Path) -> None:
    found = findings(ClassImbalance, _run(tmp_path, points((100, 100, 0)), points(seed=1)))
    assert "and class 2 0;" in found[0].evidence


def test_a_rare_class_that_is_mostly_wrong_is_found_below_the_imbalance_s_threshold(tmp_path: Path) -> None:
    train = points((150, 150, 24))
    hidden = Points(train.values.clone(), train.labels)
    hidden.values[train.labels == 2] = train.values[train.labels == 0][:24]  # looks like the common class
    found = findings(ClassImbalance, _run(tmp_path, hidden, points(seed=1)))
    assert "of class 2 (" in found[0].evidence
    assert "answered wrong" in found[0].evidence


def test_equal_classes_are_in_balance(tmp_path: Path) -> None:
    assert findings(ClassImbalance, _run(tmp_path, points((60, 60, 60)), points(seed=1))) == []


def test_classes_of_three_to_one_are_in_balance(tmp_path: Path) -> None:
    assert findings(ClassImbalance, _run(tmp_path, points((90, 90, 30)), points(seed=1))) == []


def test_chance_is_no_imbalance_where_classes_are_many(tmp_path: Path) -> None:
    many = points((10,) * 30)
    assert findings(ClassImbalance, _run(tmp_path, many, many)) == []


def test_classes_swapped_between_training_and_validation_are_found(tmp_path: Path) -> None:
    found = findings(Confusion, _run(tmp_path, points((40,) * 5), _swapped(points((20,) * 5, seed=1), 0, 1)))
    assert "20 of 20 of class 0 were taken for class 1" in found[-1].evidence
    assert "swapped" in found[-1].advice


def test_one_class_under_two_names_is_found(tmp_path: Path) -> None:
    def merged(data: Points) -> Points:
        values = data.values.clone()
        centre = data.values[data.labels == 0].mean(dim=0) - data.values[data.labels == 1].mean(dim=0)
        values[data.labels == 1] += centre
        return Points(values, data.labels)

    found = findings(Confusion, _run(tmp_path, merged(points((40,) * 4)), merged(points((40,) * 4, seed=1))))
    assert "were taken for class" in found[-1].evidence
    assert "class 2" not in found[-1].evidence
    assert "class 3" not in found[-1].evidence


def test_classes_that_can_be_told_apart_are_not_confused(tmp_path: Path) -> None:
    assert findings(Confusion, _run(tmp_path, points((40,) * 5), points((9,) * 5, seed=1))) == []


def test_a_model_that_has_learned_nothing_is_not_called_confused(tmp_path: Path) -> None:
    assert findings(Confusion, _run(tmp_path, points((40,) * 5), points((20,) * 5, seed=1), lr=0.0)) == []


def test_the_bounds_of_a_share_are_wilson_s() -> None:
    low, high = share_bounds(5, 10)
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    assert share_bounds(0, 6)[0] == pytest.approx(0, abs=1e-9)
    assert torch.isfinite(torch.tensor(share_bounds(6, 6))).all()


def test_four_validation_photos_of_a_class_are_too_few_for_a_confusion(tmp_path: Path) -> None:
    valid = _swapped(points((4,) * 5, seed=1), 0, 1)
    assert findings(Confusion, _run(tmp_path, points((40,) * 5), valid)) == []
