import random

import optuna
import pytest

from contract.hyperband import FACTOR, Hyperband


@pytest.mark.parametrize(
    ("resources", "rungs"),
    [
        ((2, 10), [(2, 6), (6,)]),
        ((1, 27), [(1, 3, 9), (3, 9), (9,), ()]),
        ((4, 10), [(4,)]),
        ((5, 5), [()]),
        ((1, 1), [()]),
    ],
)
def test_the_brackets_look_first_at_the_minimum_and_then_ever_later(
    resources: tuple[int, int], rungs: list[tuple[int, ...]]
) -> None:
    assert Hyperband(*resources).rungs == rungs


def test_most_trials_belong_to_the_bracket_that_ends_most() -> None:
    band = Hyperband(2, 10)
    assert [band.bracket(trial) for trial in range(10)] == [0, 0, 0, 1, 1] * 2


@pytest.mark.parametrize("resources", [(0, 5), (6, 5)])
def test_resources_that_make_no_sense_are_refused(resources: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 <= minimum <= maximum expected"):
        Hyperband(*resources)


def test_a_trial_is_compared_at_the_rungs_of_its_bracket_only() -> None:
    band = Hyperband(2, 10)
    assert band.goes_on(0, 2, 0.9)
    assert band.goes_on(1, 1, 0.1)
    assert not band.goes_on(1, 2, 0.1)
    assert band.goes_on(3, 2, 0.1), "the second bracket looks at 6 only"
    assert band.goes_on(3, 6, 0.1), "and is the first to come there in it"
    assert not band.goes_on(4, 6, 0.05)


def test_equals_go_on() -> None:
    band = Hyperband(2, 10)
    assert all(band.goes_on(trial, 2, 0.5) for trial in range(3))


def optuna_stops(reports: list[list[float]], minimum: int) -> list[int]:
    """Return after how many reports Optuna's asynchronous successive halving ends each trial."""
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=minimum, reduction_factor=FACTOR)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    lengths = []
    for values in reports:
        trial = study.ask()
        for step, value in enumerate(values, 1):
            trial.report(value, step)
            if trial.should_prune():
                break
        lengths.append(step)
        study.tell(trial, value)
    return lengths


def stops(reports: list[list[float]], resources: tuple[int, int]) -> list[int]:
    band, lengths = Hyperband(*resources), []
    for number, values in enumerate(reports):
        ends = (step for step, value in enumerate(values, 1) if not band.goes_on(number, step, value))
        lengths.append(next(ends, len(values)))
    return lengths


@pytest.mark.parametrize("seed", range(5))
def test_one_bracket_decides_as_optuna_s_successive_halving(seed: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = random.Random(seed)
    # One bracket: 3 times the minimum is beyond the maximum. Rounded, so that some are equal.
    reports = [[round(rng.random(), 1) for _ in range(5)] for _ in range(30)]
    found = stops(reports, (2, 5))
    assert found == optuna_stops(reports, 2)
    assert set(found) == {2, 5}
