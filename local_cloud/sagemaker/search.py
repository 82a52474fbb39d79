"""Where a tuning job looks next: SageMaker's parameter ranges searched by Optuna."""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from local_cloud.sagemaker.errors import validation

# SageMaker chooses a scale itself for Auto; a range over two decades or more is searched by its logarithm here.
_AUTO_DECADES = 2
_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Parameter:
    """One tuned hyperparameter: where it is searched, and how a value is written for the trial."""

    name: str
    distribution: BaseDistribution
    text: Callable[[Any], str]


class Search:
    """Proposes hyperparameters and learns from objectives; used from one thread."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        """Search as a HyperParameterTuningJobConfig says; the same name and answers give the same proposals."""
        limits, objective = config["ResourceLimits"], config["HyperParameterTuningJobObjective"]
        self._parameters = parameters(config.get("ParameterRanges", {}))
        seed = config.get("RandomSeed", zlib.crc32(name.encode()))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            sampler=_sampler(config["Strategy"], seed, limits["MaxNumberOfTrainingJobs"]),
            direction=objective["Type"].lower(),
        )
        self._trials: dict[str, optuna.Trial] = {}

    def propose(self, trial: str) -> dict[str, str]:
        """Return hyperparameters for a new trial, as SageMaker's map of strings."""
        asked = self._study.ask({p.name: p.distribution for p in self._parameters})
        self._trials[trial] = asked
        return {p.name: p.text(asked.params[p.name]) for p in self._parameters}

    def learn(self, trial: str, objective: float | None) -> None:
        """Take a trial's objective; None if it has none."""
        if objective is None:
            self._study.tell(self._trials[trial], state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(self._trials[trial], objective)


def _sampler(strategy: str, seed: int, trials: int) -> optuna.samplers.BaseSampler:
    if strategy == "Random":
        return optuna.samplers.RandomSampler(seed=seed)
    # Optuna starts with 10 random trials, which is all that a small tuning job has: a third must do.
    random_first = max(2, min(10, trials // 3))
    return optuna.samplers.TPESampler(constant_liar=True, seed=seed, n_startup_trials=random_first)


def parameters(ranges: Mapping[str, Any]) -> list[Parameter]:
    """Return the tuned hyperparameters of ParameterRanges.

    Raises:
        ServiceError: a range is no range, or there is none at all.
    """
    found = [*_continuous(ranges), *_integers(ranges), *_categories(ranges)]
    names = [parameter.name for parameter in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise validation(f"Hyperparameter {', '.join(twice)} has more than one range.")
    if not found:
        raise validation("ParameterRanges must name at least one hyperparameter to tune.")
    return found


def _continuous(ranges: Mapping[str, Any]) -> Iterator[Parameter]:
    for entry in ranges.get("ContinuousParameterRanges", []):
        low, high = _bounds(entry, float)
        yield Parameter(entry["Name"], FloatDistribution(low, high, log=_logarithmic(entry, low, high)), repr)


def _integers(ranges: Mapping[str, Any]) -> Iterator[Parameter]:
    for entry in ranges.get("IntegerParameterRanges", []):
        low, high = _bounds(entry, int)
        yield Parameter(entry["Name"], IntDistribution(low, high, log=_logarithmic(entry, low, high)), str)


def _categories(ranges: Mapping[str, Any]) -> Iterator[Parameter]:
    for entry in ranges.get("CategoricalParameterRanges", []):
        yield Parameter(entry["Name"], CategoricalDistribution(entry["Values"]), str)


def _bounds(entry: Mapping[str, str], number: type[_Number]) -> tuple[_Number, _Number]:
    try:
        low, high = number(entry["MinValue"]), number(entry["MaxValue"])
    except ValueError as error:
        raise validation(f"Range of hyperparameter {entry['Name']}: {error}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise validation(
            f"Range of hyperparameter {entry['Name']}: MinValue {entry['MinValue']} must be less than "
            f"MaxValue {entry['MaxValue']}."
        )
    return low, high


def _logarithmic(entry: Mapping[str, str], low: float, high: float) -> bool:
    match entry.get("ScalingType", "Auto"):
        case "Linear":
            return False
        case "Logarithmic":
            if low <= 0:
                raise validation(
                    f"Range of hyperparameter {entry['Name']}: logarithmic scaling needs MinValue > 0, "
                    f"got {entry['MinValue']}."
                )
            return True
        case "Auto":
            return low > 0 and math.log10(high / low) >= _AUTO_DECADES
        case scaling:
            raise validation(f"Range of hyperparameter {entry['Name']}: ScalingType {scaling} is not offered here.")
