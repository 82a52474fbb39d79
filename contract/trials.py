"""One trial of the tuning, as tuning.json lists it and as the sweep prints it for whoever watches."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from contract.metrics import Objective

COMPLETED: Final = "Completed"
STOPPED: Final = "Stopped"
_LINE = re.compile(r"#trial (?P<trial>\{.*\}) of (?P<planned>\d+)")


@dataclass(frozen=True)
class TrialResult:
    """What became of one trial.

    Attributes:
        name: unique within its tuning.
        status: Completed; Stopped where it was ended early; Failed, InProgress of a job.
        objective: validation accuracy, 0 to 1, of the epoch that the trial keeps; None where it has reported none.
        loss: validation loss of that epoch.
        hyperparameters: SageMaker's map of strings.
    """

    name: str
    status: str
    objective: float | None
    loss: float | None
    hyperparameters: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of tuning.json."""
        return asdict(self)

    def line(self, planned: int) -> str:
        """Return the log line that says how it ended; ``planned`` is how many trials there will be."""
        return f"#trial {json.dumps(self.as_dict())} of {planned}"


def read_trial_line(line: str) -> tuple[TrialResult, int] | None:
    """Return the trial in a log line and how many there will be, or None where there is none."""
    found = _LINE.search(line)
    return None if found is None else (TrialResult(**json.loads(found["trial"])), int(found["planned"]))


def best_trial(trials: Iterable[TrialResult], objective: Objective) -> TrialResult | None:
    """Return the best trial that has a score: by the objective, ties by the other score, then the earliest."""

    def rank(trial: TrialResult) -> tuple[float, float]:
        assert trial.objective is not None
        assert trial.loss is not None
        by_accuracy = (trial.objective, -trial.loss)
        return by_accuracy if objective is Objective.ACCURACY else by_accuracy[::-1]

    scored = [trial for trial in trials if trial.objective is not None and _finite(trial.loss)]
    return max(scored, key=rank, default=None)


def _finite(loss: float | None) -> bool:
    return loss is not None and math.isfinite(loss)
