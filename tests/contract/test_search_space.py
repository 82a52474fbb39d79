import argparse
import math
import random

import pytest

from contract.search_space import (
    SEARCH_SPACE,
    Categorical,
    Continuous,
    Hyperparameters,
    add_arguments,
    parse_hyperparameters,
    sample_hyperparameters,
    spread_hyperparameters,
    tuner_ranges,
)


def test_what_is_sampled_survives_the_way_through_strings() -> None:
    for seed in range(50):
        drawn = sample_hyperparameters(random.Random(seed))
        assert parse_hyperparameters(drawn.as_strings()) == drawn


def test_the_learning_rate_is_drawn_uniformly_in_its_logarithm() -> None:
    rng = random.Random(0)
    below = sum(sample_hyperparameters(rng).lr < 0.01 for _ in range(2000)) / 2000
    assert math.isclose(below, 0.5, abs_tol=0.05)


def test_spread_points_use_every_slice_of_every_range_once() -> None:
    points = spread_hyperparameters(4, seed=7)
    assert sorted(int(2 * math.log10(point.lr / 0.001)) for point in points) == [0, 1, 2, 3]
    assert sorted(point.batch_size for point in points) == [16, 64, 256, 1024]
    assert spread_hyperparameters(4, seed=7) == points
    assert spread_hyperparameters(4, seed=8) != points


def test_spread_points_lie_within_the_space_and_survive_the_way_through_strings() -> None:
    for trials in (1, 3, 100):
        points = spread_hyperparameters(trials, seed=0)
        assert [parse_hyperparameters(point.as_strings()) for point in points] == points


def test_a_quoted_categorical_value_of_the_tuner_is_understood() -> None:
    assert parse_hyperparameters({"lr": "0.01", "batch-size": '"64"', "epochs": "5"}) == Hyperparameters(0.01, 64, 5)


@pytest.mark.parametrize(
    ("strings", "named"),
    [
        ({"lr": "1", "batch-size": "64", "epochs": "5"}, "lr=1: a number from 0.001 to 0.1"),
        ({"lr": "0.01", "batch-size": "63", "epochs": "5"}, "batch-size=63: one of 16, 64, 256, 1024"),
        ({"lr": "0.01", "batch-size": "64", "epochs": "50"}, "epochs=50: a whole number from 5 to 10"),
        ({"lr": "0.01", "batch-size": "64"}, "'epochs' is missing"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(strings: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_hyperparameters(strings)


def test_the_tuner_is_asked_for_every_hyperparameter_once() -> None:
    names = [entry["Name"] for ranges in tuner_ranges().values() for entry in ranges]
    assert sorted(names) == sorted(parameter.name for parameter in SEARCH_SPACE)


def test_the_command_line_takes_each_hyperparameter_and_checks_it() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    assert parser.parse_args(["--batch-size", "256"]).batch_size == 256
    with pytest.raises(argparse.ArgumentError):
        parser.parse_args(["--lr", "7"])


def test_an_impossible_range_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="low <= default"):
        Continuous("lr", 0.1, 0.01, 0.05, "")
    with pytest.raises(ValueError, match="none of"):
        Categorical("batch-size", (16, 64), 32, "")
