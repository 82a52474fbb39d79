"""The tuned hyperparameters: one declaration -> SageMaker's ranges, argparse options, samples, typed values."""

import argparse
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


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

    def sample(self, rng: random.Random) -> float:
        """Draw a value, uniform in its logarithm."""
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, self.low), self.high)


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

    def sample(self, rng: random.Random) -> int:
        """Draw a value, uniform."""
        return rng.randint(self.low, self.high)


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

    def sample(self, rng: random.Random) -> int:
        """Draw a choice, uniform."""
        return rng.choice(self.choices)


Hyperparameter = Continuous | Integer | Categorical

# Ranges of the project that first used this data set (lr 0.001 to 0.1, batch size 16 to 1024, 5 to 10 epochs).
SEARCH_SPACE: Final[tuple[Hyperparameter, ...]] = (
    Continuous("lr", 0.001, 0.1, 0.01, "learning rate of the head"),
    Categorical("batch-size", (16, 64, 256, 1024), 64, "photos per optimizer step"),
    Integer("epochs", 5, 10, 8, "passes over the training set"),
)


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


def sample_hyperparameters(rng: random.Random) -> Hyperparameters:
    """Draw one point of the search space."""
    values: dict[str, Any] = {p.name.replace("-", "_"): p.sample(rng) for p in SEARCH_SPACE}
    return Hyperparameters(**values)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one ``--option`` per hyperparameter, with its range in the help and checked on parsing."""
    for parameter in SEARCH_SPACE:
        allowed = (
            f"one of {', '.join(map(str, parameter.choices))}"
            if isinstance(parameter, Categorical)
            else f"{parameter.low} to {parameter.high}"
        )
        parser.add_argument(
            f"--{parameter.name}", type=parameter.parse, default=parameter.default, help=f"{parameter.help} ({allowed})"
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
