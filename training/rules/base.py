"""What every rule builds on: smdebug's Rule, with findings that say what was seen, and what the hook saves to look at.

A rule is a class named as AWS names it, whose keyword arguments are AWS's parameters with AWS's defaults:

    class LossTooHigh(TensorRule):
        '''The loss is above ``threshold``.'''

        def __init__(self, base_trial: Trial, threshold: float = 100.0) -> None:
            super().__init__(base_trial)
            self._threshold = threshold

        def look(self, step: int) -> Finding | None:
            for name in self.names(LOSSES, step):
                loss = self.reduction(name, step, "mean")
                if loss is not None and loss > self._threshold:
                    return self.found(
                        step, Severity.WARNING, f"The loss was {loss:.3g}.", "The model guesses.", "Train longer."
                    )
            return None

``look`` is called once for every saved step, in order, and may keep what it has seen in ``self``. Steps are always
smdebug's global steps: training and evaluation steps, counted together; ``self.mode(step)`` tells them apart. It works
on every trial that smdebug reads, from disk or S3, while a training runs (training/rules/watch.py) or afterwards:
``invoke_rule(LossTooHigh(create_trial(path)))``.

The hook (training/debugging.py) saves reductions, and of tensors with more than ``SAMPLE`` values the same few values
each time, as a tensor of its own in the collection ``SAMPLES``; ``values`` finds whichever of both there is.
"""

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from smdebug import modes
from smdebug.exceptions import StepUnavailable, TensorUnavailable, TensorUnavailableForStep
from smdebug.rules.rule import Rule

from contract.findings import Finding, Severity
from training.saved_tensors import SAMPLE_PREFIX

Trial = Any  # smdebug publishes no types
_MISSING: Final = (TensorUnavailable, TensorUnavailableForStep, StepUnavailable)


class TensorRule(Rule):  # type: ignore[misc]  # smdebug publishes no types
    """A condition that saved tensors may meet.

    Attributes:
        finding: what the last step that met the condition showed; None before.
        has_data: whether anything was there of what the rule looks at.
        class_labels: readable names, in the order of the model's outputs; empty: not known, classes are told by number.
    """

    class_labels: Sequence[str] = ()

    def __init__(self, base_trial: Trial) -> None:
        super().__init__(base_trial, action_str="")
        self.finding: Finding | None = None
        self.has_data = False

    @abstractmethod
    def look(self, step: int) -> Finding | None:
        """Return what a saved global step shows, with all steps before it; None where the condition is not met."""

    def invoke_at_step(self, step: int) -> bool:
        """Return whether the condition is met at a saved global step (smdebug's own name for it)."""
        found = self.look(step)
        if found is not None:
            self.finding = found
        return found is not None

    def found(self, step: int, severity: Severity, evidence: str, meaning: str, advice: str) -> Finding:
        """Return a finding of this rule."""
        return Finding(type(self).__name__, severity, step, evidence, meaning, advice)

    def mode(self, step: int) -> Any:
        """Return ``modes.TRAIN`` or ``modes.EVAL`` (``modes.GLOBAL`` in trials whose training set none)."""
        return self.base_trial.mode(step)

    def is_training(self, step: int) -> bool:
        """Return whether a step belongs to the training: not to an evaluation."""
        return self.mode(step) not in (modes.EVAL, modes.PREDICT)

    def names(self, collection: str, step: int, tensor_regex: str | None = None) -> list[str]:
        """Return the names of what was saved at a step, in a collection or matching an expression; no samples."""
        known = self.base_trial.collections().get(collection)
        patterns = [] if known is None else list(known.include_regex or [])
        patterns += [tensor_regex] if tensor_regex else []
        listed = set() if known is None else known.tensor_names
        saved = [name for name in self.base_trial.tensor_names(step=step) if not name.startswith(SAMPLE_PREFIX)]
        found = [name for name in saved if name in listed or any(re.search(one, name) for one in patterns)]
        self.has_data = self.has_data or bool(found)
        return found

    def saved_steps(self, name: str, until: int) -> list[int]:
        """Return the steps up to ``until``, inclusive, at which a tensor was saved in the mode of ``until``."""
        mode = self.mode(until)
        try:
            steps = self.base_trial.tensor(name).steps(show_incomplete_steps=True)
        except TensorUnavailable:
            return []
        return [step for step in steps if step <= until and self.mode(step) == mode]

    def value(self, name: str, step: int) -> NDArray[Any] | None:
        """Return a whole tensor as it was at a step; None where it was not saved, or only as reductions."""
        try:
            whole = np.asarray(self.base_trial.tensor(name).value(step))
        except _MISSING:
            return None
        self.has_data = True
        return whole

    def values(self, name: str, step: int) -> NDArray[Any] | None:
        """Return a tensor as it was at a step, else the sample of it, the same values each time; None: neither."""
        whole = self.value(name, step)
        return self.value(SAMPLE_PREFIX + name, step) if whole is None else whole

    def reduction(self, name: str, step: int, reduction: str, *, absolute: bool = False) -> float | None:
        """Return a reduction of a tensor at a step: as it was saved, else of the whole tensor; None: neither.

        Args:
            name: of the tensor.
            step: global step.
            reduction: min, max, mean, std, variance, sum, prod, l1, l2.
            absolute: of the absolute values.
        """
        try:
            value = self.base_trial.tensor(name).reduction_value(step, reduction, abs=absolute)
        except _MISSING:
            if reduction != "variance" or absolute:
                return None
            deviation = self.reduction(name, step, "std")
            return None if deviation is None else deviation**2
        return None if value is None else float(np.asarray(value).reshape(-1)[0])
