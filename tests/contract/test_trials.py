import math

from contract.metrics import Objective
from contract.trials import COMPLETED, TrialResult, best_trial, read_trial_line


def trial(name: str, objective: float | None, loss: float | None) -> TrialResult:
    return TrialResult(name, COMPLETED, objective, loss, {"lr": "0.01"})


def test_a_trial_s_line_is_read_back() -> None:
    one = trial("t-001", 0.9, 0.25)
    assert read_trial_line("10:12 " + one.line(8)) == (one, 8)


def test_other_lines_hold_no_trial() -> None:
    assert read_trial_line("trial 3 of 8") is None


def test_equal_accuracies_are_told_apart_by_the_loss() -> None:
    trials = [trial("a", 0.9, 0.3), trial("b", 0.9, 0.2), trial("c", 0.8, 0.1)]
    best = best_trial(trials, Objective.ACCURACY)
    assert best is not None
    assert best.name == "b"


def test_the_loss_may_be_the_objective() -> None:
    trials = [trial("a", 0.9, 0.3), trial("b", 0.8, 0.1), trial("c", 0.7, 0.1)]
    best = best_trial(trials, Objective.LOSS)
    assert best is not None
    assert best.name == "b"


def test_of_equals_the_first_is_the_best() -> None:
    best = best_trial([trial("a", 0.9, 0.3), trial("b", 0.9, 0.3)], Objective.ACCURACY)
    assert best is not None
    assert best.name == "a"


def test_a_trial_without_a_number_is_never_the_best() -> None:
    assert best_trial([trial("a", None, None), trial("b", 0.9, math.nan)], Objective.ACCURACY) is None
