"""A metric's name, its goal, how a job prints it and how SageMaker reads it back, together."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

Goal = Literal["Maximize", "Minimize"]


@dataclass(frozen=True)
class Metric:
    """One number that a job reports on standard output and that SageMaker picks up by regular expression."""

    name: str
    goal: Goal

    def line(self, value: float, epoch: int | None = None) -> str:
        """Return the log line for ``value``; six decimals keep 1 of 10,000 photos visible."""
        suffix = "" if epoch is None else f" epoch={epoch}"
        return f"#metric {self.name}={value:.6f};{suffix}"

    @property
    def regex(self) -> str:
        """The expression for ``AlgorithmSpecification.MetricDefinitions``; group 1 is the value."""
        return rf"#metric {self.name}=([-+0-9.einfa]+);"

    def definition(self) -> dict[str, str]:
        """Return the entry for ``MetricDefinitions``."""
        return {"Name": self.name, "Regex": self.regex}


TRAIN_LOSS: Final = Metric("train:loss", "Minimize")
TRAIN_ACCURACY: Final = Metric("train:accuracy", "Maximize")
VALID_LOSS: Final = Metric("valid:loss", "Minimize")
VALID_ACCURACY: Final = Metric("valid:accuracy", "Maximize")
# Of the model that the job keeps (its best epoch). SageMaker's "final" value is the last one printed, so the per-epoch
# metrics above cannot serve as the objective. A trial prints loss and accuracy after every epoch, as those of its best
# epoch so far: the tuner can stop it early, and whatever was printed last is true. The training prints them at its end.
FINAL_VALID_LOSS: Final = Metric("final:valid_loss", "Minimize")
FINAL_VALID_ACCURACY: Final = Metric("final:valid_accuracy", "Maximize")
FINAL_TEST_ACCURACY: Final = Metric("final:test_accuracy", "Maximize")
# How many findings of these severities the rules of the training had.
FINAL_ERRORS: Final = Metric("final:errors_found", "Minimize")
FINAL_WARNINGS: Final = Metric("final:warnings_found", "Minimize")


class Objective(StrEnum):
    """By what trials, and the epochs of one trial, are compared: a true mean over the whole validation set.

    Equal accuracies, which small sets have often, are told apart by the loss.
    """

    ACCURACY = "accuracy"
    LOSS = "loss"

    @property
    def metric(self) -> Metric:
        """The metric that the tuner looks at."""
        return FINAL_VALID_ACCURACY if self is Objective.ACCURACY else FINAL_VALID_LOSS


ALL: Final = (
    TRAIN_LOSS,
    TRAIN_ACCURACY,
    VALID_LOSS,
    VALID_ACCURACY,
    FINAL_VALID_LOSS,
    FINAL_VALID_ACCURACY,
    FINAL_TEST_ACCURACY,
    FINAL_ERRORS,
    FINAL_WARNINGS,
)
_LINE = re.compile(r"#metric (?P<name>[\w:]+)=(?P<value>[-+0-9.einfa]+);(?: epoch=(?P<epoch>\d+))?")


@dataclass(frozen=True)
class Reading:
    """A metric as found in a log line; ``epoch`` counts from 1 and is None for final values."""

    name: str
    value: float
    epoch: int | None


def read_line(line: str) -> Reading | None:
    """Return the metric in ``line``, or None where there is none."""
    found = _LINE.search(line)
    if found is None:
        return None
    epoch = found["epoch"]
    return Reading(found["name"], float(found["value"]), None if epoch is None else int(epoch))
