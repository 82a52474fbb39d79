from typing import Any

import pytest

from training.report.importance import importances, ranks


def trial(objective: float, loss: float | None = None, **hyperparameters: float) -> dict[str, Any]:
    return {
        "objective": objective,
        "loss": loss,
        "hyperparameters": {name: str(value) for name, value in hyperparameters.items()},
    }


def test_what_orders_every_trial_is_found_first_and_clear() -> None:
    trials = [trial(n / 10, lr=0.001 * 2**n, epochs=5 + n % 3) for n in range(9, 0, -1)]
    first, second = importances(["epochs", "lr"], trials)
    assert (first.name, first.clear) == ("lr", True)
    assert first.correlation == pytest.approx(1.0)
    assert first.chance < 0.001
    assert (second.name, second.clear) == ("epochs", False)


def test_a_lower_value_that_does_better_has_a_negative_sign() -> None:
    (found,) = importances(["lr"], [trial(n, lr=10 - n) for n in range(8, 0, -1)])
    assert found.correlation == pytest.approx(-1.0)


def test_four_trials_in_perfect_order_may_be_chance() -> None:
    (found,) = importances(["lr"], [trial(n, lr=n) for n in (4, 3, 2, 1)])
    assert found.chance == pytest.approx(2 / 24)
    assert not found.clear


def test_three_trials_say_nothing() -> None:
    assert importances(["lr"], [trial(n, lr=n) for n in (3, 2, 1)]) == []


def test_equal_accuracies_are_told_apart_by_their_loss() -> None:
    (found,) = importances(["lr"], [trial(1.0, loss=0.1 * n, lr=n) for n in range(1, 9)])
    assert found.correlation == pytest.approx(-1.0)


def test_trials_that_all_did_the_same_have_no_order() -> None:
    assert importances(["lr"], [trial(1.0, loss=0.1, lr=n) for n in range(6)]) == []


def test_one_try_in_twenty_is_not_clear_where_three_were_made() -> None:
    trials = [trial(value, lr=n, a=n, b=n) for n, value in enumerate((1, 3, 2, 5, 4))]
    one, three = importances(["lr"], trials)[0], importances(["lr", "a", "b"], trials)[0]
    assert one.chance == three.chance
    assert 0.05 / 3 < one.chance < 0.2
    assert not three.clear


def test_equal_values_share_a_rank() -> None:
    assert ranks([10, 20, 20, 5]) == [2, 3.5, 3.5, 1]
