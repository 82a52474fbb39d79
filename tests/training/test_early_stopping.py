import pytest

from contract.search_space import Stopping
from training.early_stopping import Halving, Median, rule


def run(stopping: Stopping, trials: list[list[float]]) -> list[int]:
    """Return after how many epochs each trial ended."""
    judge, lengths = rule(stopping), []
    for trial in trials:
        seen: list[float] = []
        for value in trial:
            seen.append(value)
            if judge.loses(seen):
                break
        judge.end(seen)
        lengths.append(len(seen))
    return lengths


def test_without_a_rule_every_trial_is_finished() -> None:
    assert run(Stopping.NONE, [[0.9] * 5, [0.1] * 5]) == [5, 5]


def test_a_trial_below_the_median_of_three_others_is_ended() -> None:
    assert run(Stopping.MEDIAN, [[0.5] * 5, [0.6] * 5, [0.7] * 5, [0.65] * 5, [0.1] * 5]) == [5, 5, 5, 5, 1]


def test_fewer_than_three_make_no_median() -> None:
    assert run(Stopping.MEDIAN, [[0.5] * 5, [0.6] * 5, [0.1] * 5]) == [5, 5, 5]


def test_the_median_is_that_of_trials_which_came_as_far() -> None:
    judge = Median()
    for length in (5, 5, 2):
        judge.end([0.5] * length)
    assert judge.loses([0.1, 0.1])
    assert not judge.loses([0.1, 0.1, 0.1])


def test_halving_ends_the_worse_half_at_each_rung() -> None:
    assert run(Stopping.HALVING, [[0.5] * 6, [0.4] * 6, [0.6] * 6, [0.45] * 6]) == [6, 2, 6, 2]


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_halving_looks_at_its_rungs_only(epoch: int) -> None:
    judge = Halving()
    assert not judge.loses([0.9, 0.9])
    assert not judge.loses([0.1] * epoch)


def test_halving_lets_equals_go_on() -> None:
    assert run(Stopping.HALVING, [[0.5] * 6, [0.5] * 6, [0.5] * 6]) == [6, 6, 6]
