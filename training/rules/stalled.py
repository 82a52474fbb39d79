"""The rule that looks at time: whether tensors still come."""

import time
from typing import Final

from smdebug.analysis.utils import refresh
from smdebug.core.tensor import StepState
from smdebug.exceptions import RuleEvaluationConditionMet

from contract.findings import Finding
from training.rules.base import TensorRule, Trial
from training.watchdog import STALLED_AFTER, stall_finding

# smdebug itself looks for new steps every 2 seconds.
LONGEST_PAUSE: Final = 2.0
LOOKS: Final = 10


class StalledTraining(TensorRule):
    """No new step was saved for ``threshold`` seconds, though the training has not ended (AWS: StalledTrainingRule).

    This class watches a trial from outside, with ``invoke_rule``. From inside, where saved steps are no measure
    (validation, test and the first pass over the photos save none for long), training/watchdog.py does the same with
    every piece of work that is finished.

    Args:
        base_trial: the trial.
        threshold: in seconds.
    """

    def __init__(self, base_trial: Trial, threshold: float = STALLED_AFTER) -> None:
        super().__init__(base_trial)
        self._threshold = threshold

    def invoke(self, step: int) -> None:
        """Wait for a step as smdebug does, but not for ever.

        Raises:
            RuleEvaluationConditionMet: nothing new came in time.
        """
        pause = min(LONGEST_PAUSE, self._threshold / LOOKS)
        with refresh(self.base_trial):
            known, since = self._saved(), time.monotonic()
            while self.base_trial.has_passed_step(step) == StepState.NOT_YET_AVAILABLE:
                time.sleep(pause)
                if self._saved() != known:
                    known, since = self._saved(), time.monotonic()
                elif time.monotonic() - since >= self._threshold:
                    last = self.base_trial.last_complete_step
                    self.finding = stall_finding(time.monotonic() - since, "", None if last < 0 else last)
                    raise RuleEvaluationConditionMet(self.rule_name, step, end_of_rule=True)
        super().invoke(step)

    def look(self, step: int) -> Finding | None:
        """Return nothing: a step that is there is progress."""
        self.has_data = True
        return None

    def _saved(self) -> int:
        return len(self.base_trial.steps(show_incomplete_steps=True))
