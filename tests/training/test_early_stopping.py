from contract.search_space import Stopping
from training.early_stopping import Median, rule


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


def test_hyperband_ends_a_trial_at_the_rungs_of_its_bracket() -> None:
    # Trials 0 to 2 are compared after epochs 2 and 6, 3 and 4 only after epoch 6.
    assert run(Stopping.HYPERBAND, [[0.5] * 8, [0.4] * 8, [0.6] * 8, [0.1] * 8, [0.05] * 8]) == [8, 2, 8, 8, 6]


def test_hyperband_lets_equals_go_on() -> None:
    assert run(Stopping.HYPERBAND, [[0.5] * 8] * 3) == [8, 8, 8]
