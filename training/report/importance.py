"""What mattered in the tuning: rank correlations, with how often chance alone would show as much.

Not fANOVA: it fits a forest to the trials, and a forest of ten points tells a story about its own randomness. A rank
correlation (Spearman 1904) can be checked against chance exactly where it counts, with few trials. What it cannot see
is a hyperparameter whose best value lies in the middle of its range; the charts beside it show that.
"""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

# Two trials are always in order, one way or the other.
LEAST_TRIALS: Final = 4
# Below it an order is called clear; divided by the number of hyperparameters, for each is a chance to be lucky.
CLEAR: Final = 0.05
# 7! orders are all tried; of longer ones so many are drawn, which places a share of 5 % within 0.7 %.
_ALL_ORDERS_OF: Final = 7
_DRAWN_ORDERS: Final = 4000


@dataclass(frozen=True)
class Importance:
    """How the results are ordered by one hyperparameter.

    Attributes:
        name: of the hyperparameter.
        correlation: of the ranks, -1 to 1; positive: higher values did better.
        chance: share of random orders of the same trials that show at least as much, 0 to 1.
        clear: whether that is little enough to believe in the order.
    """

    name: str
    correlation: float
    chance: float
    clear: bool


def importances(names: Sequence[str], trials: Sequence[Mapping[str, Any]]) -> list[Importance]:
    """Return the hyperparameters ``names``, the one that orders the trials most first; nothing below LEAST_TRIALS.

    Args:
        names: of hyperparameters that are numbers and differ between the trials.
        trials: those with an objective, best first; equal ones share a rank.
    """
    if len(trials) < LEAST_TRIALS:
        return []
    results = ranks([(float(trial["objective"]), -_loss(trial)) for trial in trials])
    found = []
    for name in names:
        values = ranks([float(trial["hyperparameters"][name]) for trial in trials])
        correlation = _correlation(values, results)
        if correlation is not None:
            chance = _chance(values, results, abs(correlation))
            found.append(Importance(name, correlation, chance, chance < CLEAR / len(names)))
    return sorted(found, key=lambda each: (-abs(each.correlation), each.name))


def ranks(values: Sequence[Any]) -> list[float]:
    """Return each value's rank, from 1; equal values share the mean of theirs."""
    order = sorted(values)
    first = {value: order.index(value) for value in set(order)}
    count = {value: order.count(value) for value in first}
    return [first[value] + (count[value] + 1) / 2 for value in values]


def _loss(trial: Mapping[str, Any]) -> float:
    loss = trial.get("loss")
    return float(loss) if loss is not None and math.isfinite(loss) else math.inf


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None where one side is constant, which nothing can correlate with."""
    ones, others = [v - fmean(one) for v in one], [v - fmean(other) for v in other]
    scale = math.sqrt(sum(v * v for v in ones) * sum(v * v for v in others))
    return sum(a * b for a, b in zip(ones, others, strict=True)) / scale if scale else None


def _chance(values: Sequence[float], results: Sequence[float], strength: float) -> float:
    mean = fmean(results)
    centred = [result - mean for result in results]
    scale = math.sqrt(sum(c * c for c in centred) * sum((v - fmean(values)) ** 2 for v in values))
    needed = (strength - 1e-9) * scale
    orders = list(_orders(values))
    as_much = sum(abs(sum(v * c for v, c in zip(order, centred, strict=True))) >= needed for order in orders)
    return as_much / len(orders)


def _orders(values: Sequence[float]) -> Iterator[Sequence[float]]:
    if len(values) <= _ALL_ORDERS_OF:
        yield from itertools.permutations(values)
        return
    rng = random.Random(0)
    yield values  # the order that was seen is one of those that can be
    for _ in range(_DRAWN_ORDERS):
        yield rng.sample(values, len(values))
