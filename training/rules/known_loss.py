"""How good the model is while a rule looks at it: small gradients mean another thing after it has learned."""

import math
from typing import Final

from training.rules.base import TensorRule
from training.saved_tensors import LABELS, LOSSES

# Of the loss of a model that guesses. Below it a training has little left to learn.
LEARNED: Final = 0.1


class KnownLoss:
    """The newest loss, and that of a model that guesses: ln(classes), else the first loss that was saved."""

    def __init__(self) -> None:
        self.newest = math.nan
        self._first = math.nan
        self._classes = 0

    def see(self, rule: TensorRule, step: int) -> None:
        """Take in what was saved at a step."""
        for name in rule.names(LOSSES, step):
            self.newest = rule.reduction(name, step, "mean") or 0.0
            self._first = self.newest if math.isnan(self._first) else self._first
        for name in rule.names(LABELS, step):
            labels = rule.value(name, step)
            if labels is not None and labels.size:
                self._classes = max(self._classes, int(labels.max()) + 1)

    @property
    def guessing(self) -> float:
        """The loss of a model that says the same of every photo."""
        return math.log(self._classes) if self._classes > 1 else self._first

    @property
    def is_learned(self) -> bool:
        """Whether the loss is so low that there is little left to learn."""
        return self.newest < LEARNED * self.guessing

    @property
    def is_useless(self) -> bool:
        """Whether guessing is as good; also where the loss is no number."""
        return not self.newest < self.guessing
