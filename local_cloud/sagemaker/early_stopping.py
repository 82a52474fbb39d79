"""When a trial is not worth finishing; SageMaker's rule for TrainingJobEarlyStoppingType Auto."""

import statistics
import threading
from collections import defaultdict
from typing import Final, Protocol

# SageMaker does not say how many trials it compares with at least; fewer make a median of chance.
_ENOUGH: Final = 3


class Rule(Protocol):
    """Hears of all trials of one tuning job, from any thread."""

    def begin(self, trial: str) -> None:
        """Take a trial that starts."""

    def report(self, trial: str, value: float) -> None:
        """Take the next value of its objective: one for each epoch, say."""

    def end(self, trial: str) -> None:
        """Take a trial that has ended with an objective."""

    def losing(self, trial: str) -> bool:
        """Tell whether to stop it."""


class NoRule:
    """Every trial runs to its end."""

    def begin(self, trial: str) -> None:
        """Nothing to learn."""

    def report(self, trial: str, value: float) -> None:
        """Nothing to learn."""

    def end(self, trial: str) -> None:
        """Nothing to learn."""

    def losing(self, trial: str) -> bool:
        """Never."""
        return False


class MedianRule:
    """Compares a running trial's objective with the trials that have ended, report by report.

    After each report (of an epoch, say), its value is held against the median, over the trials that have ended, of the
    mean of each one's reports up to the same number
    (https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html).
    """

    def __init__(self, *, maximize: bool) -> None:
        """Begin without any trial."""
        self._maximize = maximize
        self._lock = threading.Lock()
        self._reports: defaultdict[str, list[float]] = defaultdict(list)
        self._ended: set[str] = set()

    def begin(self, trial: str) -> None:
        """It has not reported yet: nothing to learn."""

    def report(self, trial: str, value: float) -> None:
        """Take the next value of a trial's objective."""
        with self._lock:
            self._reports[trial].append(value)

    def end(self, trial: str) -> None:
        """Compare with this trial from now on."""
        with self._lock:
            self._ended.add(trial)

    def losing(self, trial: str) -> bool:
        """Tell whether a running trial is worse than the median of those that came as far and have ended."""
        with self._lock:
            own = self._reports[trial]
            count = len(own)
            others = [self._reports[ended] for ended in self._ended if len(self._reports[ended]) >= count]
        if not count or len(others) < _ENOUGH:
            return False
        median = statistics.median(statistics.fmean(reports[:count]) for reports in others)
        return own[-1] < median if self._maximize else own[-1] > median
