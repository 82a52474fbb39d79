"""When a trial of the sweep is not worth finishing; values are the best so far after each epoch, higher is better."""

import statistics
from typing import Final, Protocol

from contract.hyperband import Hyperband
from contract.search_space import HYPERBAND_EPOCHS, Stopping

# SageMaker does not say how many trials it compares with at least; fewer make a median of chance.
_ENOUGH: Final = 3


class Rule(Protocol):
    """Sees the trials of one sweep, one after the other."""

    def loses(self, values: list[float]) -> bool:
        """Take the running trial's values up to now, one per epoch, and tell whether to end it."""

    def end(self, values: list[float]) -> None:
        """Take the values of a trial that has ended, by itself or by the rule."""


class Never:
    """Every trial is finished."""

    def loses(self, values: list[float]) -> bool:
        """Never."""
        return False

    def end(self, values: list[float]) -> None:
        """Nothing to learn."""


class Median:
    """SageMaker's rule for early stopping: worse than the median of the others' means up to the same epoch.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
    """

    def __init__(self) -> None:
        self._ended: list[list[float]] = []

    def loses(self, values: list[float]) -> bool:
        """Compare with the trials that came as far."""
        means = [statistics.fmean(other[: len(values)]) for other in self._ended if len(other) >= len(values)]
        return len(means) >= _ENOUGH and values[-1] < statistics.median(means)

    def end(self, values: list[float]) -> None:
        """Compare with this trial from now on."""
        self._ended.append(values)


class Bands:
    """SageMaker's strategy Hyperband; equal accuracies go on."""

    def __init__(self) -> None:
        self._band = Hyperband(*HYPERBAND_EPOCHS)
        self._trial = 0

    def loses(self, values: list[float]) -> bool:
        """At a rung of the trial's bracket, compare with the trials of the bracket that reached it."""
        return not self._band.goes_on(self._trial, len(values), values[-1])

    def end(self, values: list[float]) -> None:
        """Begin with the next trial; what counts was noted at the rungs."""
        self._trial += 1


def rule(stopping: Stopping) -> Rule:
    """Return a new rule for one sweep."""
    rules: dict[Stopping, type[Rule]] = {Stopping.NONE: Never, Stopping.MEDIAN: Median, Stopping.HYPERBAND: Bands}
    return rules[stopping]()
