"""The tuned hyperparameters: one declaration -> SageMaker's ranges, argparse options, samples, typed values."""

import argparse
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from contract.arguments import checked


@dataclass(frozen=True)
class Continuous:
    """A real number in [low, high], searched on a logarithmic scale."""

    name: str
    low: float
    high: float
    default: float
    help: str

    def __post_init__(self) -> None:
        """Refuse a range that no search can use."""
        if not 0 < self.low <= self.default <= self.high:
            raise ValueError(
                f"{self.name}: 0 < low <= default <= high expected, got {self.low}, {self.default}, {self.high}"
            )

    def parse(self, text: str) -> float:
        """Return ``text`` as a number within the range; ValueError otherwise."""
        value = float(text)
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name}={text}: a number from {self.low} to {self.high} expected")
        return value

    def at(self, share: float) -> float:
        """Return the value below which ``share`` (0 to 1) of the range's logarithm lies."""
        value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Integer:
    """A whole number in [low, high]."""

    name: str
    low: int
    high: int
    default: int
    help: str

    def __post_init__(self) -> None:
        """Refuse a range that no search can use."""
        if not self.low <= self.default <= self.high:
            raise ValueError(
                f"{self.name}: low <= default <= high expected, got {self.low}, {self.default}, {self.high}"
            )

    def parse(self, text: str) -> int:
        """Return ``text`` as a whole number within the range; ValueError otherwise."""
        value = int(text)
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name}={text}: a whole number from {self.low} to {self.high} expected")
        return value

    def at(self, share: float) -> int:
        """Return the value below which ``share`` (0 to 1) of the whole numbers in the range lie."""
        return min(self.low + int(share * (self.high - self.low + 1)), self.high)


@dataclass(frozen=True)
class Categorical:
    """One of a few whole numbers."""

    name: str
    choices: tuple[int, ...]
    default: int
    help: str

    def __post_init__(self) -> None:
        """Refuse a default that is no choice."""
        if self.default not in self.choices:
            raise ValueError(f"{self.name}: the default {self.default} is none of {self.choices}")

    def parse(self, text: str) -> int:
        """Return ``text`` as one of the choices; ValueError otherwise. The SageMaker SDK quotes categorical values."""
        value = int(text.strip('"'))
        if value not in self.choices:
            raise ValueError(f"{self.name}={text}: one of {', '.join(map(str, self.choices))} expected")
        return value

    def at(self, share: float) -> int:
        """Return the choice at ``share`` (0 to 1) of the list."""
        return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]


class Sampler(StrEnum):
    """How the sweep (training/sweep.py) chooses its points: spread evenly over the space, or each drawn by itself."""

    SPREAD = "spread"
    RANDOM = "random"


class Stopping(StrEnum):
    """When the sweep ends a trial early; the rules stand in training/early_stopping.py."""

    NONE = "none"
    MEDIAN = "median"
    HYPERBAND = "hyperband"


Hyperparameter = Continuous | Integer | Categorical

# Ranges of the project that first used this data set (lr 0.001 to 0.1, batch size 16 to 1024, 5 to 10 epochs).
SEARCH_SPACE: Final[tuple[Hyperparameter, ...]] = (
    Continuous("lr", 0.001, 0.1, 0.01, "learning rate of the head"),
    Categorical("batch-size", (16, 64, 256, 1024), 64, "photos per optimizer step"),
    Integer("epochs", 5, 10, 8, "passes over the training set"),
)
# Hyperband's resources, in epochs: it ends no trial before the second, since the first one of a high learning rate says
# little, and the longest trial has the range's end.
HYPERBAND_EPOCHS: Final = (2, next(one.high for one in SEARCH_SPACE if isinstance(one, Integer)))


@dataclass(frozen=True)
class Hyperparameters:
    """One point of the search space, typed."""

    lr: float
    batch_size: int
    epochs: int

    def as_strings(self) -> dict[str, str]:
        """Return them as SageMaker's map of strings, keyed by option name."""
        return {"lr": repr(self.lr), "batch-size": str(self.batch_size), "epochs": str(self.epochs)}

    def as_dict(self) -> dict[str, float | int]:
        """Return them as plain numbers, keyed as in summary.json."""
        return {"lr": self.lr, "batch_size": self.batch_size, "epochs": self.epochs}


def parse_hyperparameters(strings: Mapping[str, str]) -> Hyperparameters:
    """Return typed hyperparameters from SageMaker's map of strings (``TunedHyperParameters``); other keys are ignored.

    Raises:
        ValueError: one is missing or out of its range; the message names it and says what is allowed.
    """
    values: dict[str, Any] = {}
    for parameter in SEARCH_SPACE:
        if parameter.name not in strings:
            raise ValueError(
                f"hyperparameter {parameter.name!r} is missing; given: {', '.join(sorted(strings)) or 'none'}"
            )
        values[parameter.name.replace("-", "_")] = parameter.parse(strings[parameter.name])
    return Hyperparameters(**values)


def _point(shares: Sequence[float]) -> Hyperparameters:
    values: dict[str, Any] = {
        parameter.name.replace("-", "_"): parameter.at(share)
        for parameter, share in zip(SEARCH_SPACE, shares, strict=True)
    }
    return Hyperparameters(**values)


def sample_hyperparameters(rng: random.Random) -> Hyperparameters:
    """Draw one point of the search space, each hyperparameter uniform (real numbers: in their logarithm)."""
    return _point([rng.random() for _ in SEARCH_SPACE])


def spread_hyperparameters(trials: int, seed: int) -> list[Hyperparameters]:
    """Return points that lie as far apart as so few can: a Latin hypercube.

    Every hyperparameter's range is cut into as many slices as there are trials, and each slice is used once, so that
    four trials try four learning rates an equal ratio apart and every batch size. The same arguments give the same
    points on every machine.
    """
    rng = random.Random(seed)
    columns = []
    for _ in SEARCH_SPACE:
        slices = list(range(trials))
        rng.shuffle(slices)
        columns.append([(one + rng.random()) / trials for one in slices])
    return [_point(shares) for shares in zip(*columns, strict=True)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one ``--option`` per hyperparameter, with its range in the help and checked on parsing."""
    for parameter in SEARCH_SPACE:
        allowed = (
            f"one of {', '.join(map(str, parameter.choices))}"
            if isinstance(parameter, Categorical)
            else f"{parameter.low} to {parameter.high}"
        )
        parser.add_argument(
            f"--{parameter.name}",
            type=checked(parameter.parse),
            default=parameter.default,
            help=f"{parameter.help} ({allowed})",
        )


def tuner_ranges() -> dict[str, list[dict[str, Any]]]:
    """Return ``HyperParameterTuningJobConfig.ParameterRanges``."""
    ranges: dict[str, list[dict[str, Any]]] = {
        "ContinuousParameterRanges": [],
        "IntegerParameterRanges": [],
        "CategoricalParameterRanges": [],
    }
    for parameter in SEARCH_SPACE:
        match parameter:
            case Continuous():
                ranges["ContinuousParameterRanges"].append(
                    {
                        "Name": parameter.name,
                        "MinValue": repr(parameter.low),
                        "MaxValue": repr(parameter.high),
                        "ScalingType": "Logarithmic",
                    }
                )
            case Integer():
                ranges["IntegerParameterRanges"].append(
                    {
                        "Name": parameter.name,
                        "MinValue": str(parameter.low),
                        "MaxValue": str(parameter.high),
                        "ScalingType": "Auto",
                    }
                )
            case Categorical():
                ranges["CategoricalParameterRanges"].append(
                    {"Name": parameter.name, "Values": [str(choice) for choice in parameter.choices]}
                )
    return ranges
