"""Rules that look at how far values are spread: at the start, and all along."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contract.findings import Finding, Severity
from training.rules.base import TensorRule, Trial
from training.saved_tensors import GRADIENTS, LABELS, LOSSES

# The 5th and the 95th percentile of a normal distribution are this many deviations apart.
NORMAL_RANGE: Final = 3.29
# A loss that has not come down by this share of what it began with has not come down.
HARDLY: Final = 0.02
# Guessing costs ln(classes). A start that costs ten times that is the weights' doing.
FAR_WORSE_THAN_GUESSING: Final = 10.0


class PoorWeightInitialization(TensorRule):
    """The loss does not come down in the first steps, and the first step shows that the weights are the reason.

    AWS's rule takes each of its signs for itself. Here the sign must be there before anything was learned, and the loss
    must agree: ImageNet's own EfficientNet-Lite0 has a ratio of variances of 8, and gradients of a training that
    is nearly done are small, without anything being wrong.

    Args:
        base_trial: the trial.
        activation_inputs_regex: inputs of activation functions.
        threshold: of the ratio between the largest and the smallest variance of a layer's inputs.
        distribution_range: the 5th and the 95th percentile of some gradient are closer than this.
        patience: saved training steps in which the loss must come down.
        steps: saved training steps that are looked at.
    """

    def __init__(
        self,
        base_trial: Trial,
        activation_inputs_regex: str = r".*relu_input",
        threshold: float = 10.0,
        distribution_range: float = 0.001,
        patience: int = 5,
        steps: int = 10,
    ) -> None:
        super().__init__(base_trial)
        self._regex, self._threshold, self._range = activation_inputs_regex, threshold, distribution_range
        self._patience, self._steps = patience, steps
        self._losses: list[float] = []
        self._signs: list[str] = []
        self._classes = 2

    def look(self, step: int) -> Finding | None:
        """Return the signs, once the loss has had its time."""
        if not self.is_training(step) or len(self._losses) >= self._steps:
            return None
        loss = self._loss(step)
        if loss is None:
            return None
        for name in self.names(LABELS, step):
            labels = self.value(name, step)
            self._classes = max(self._classes, 1 + int(labels.max())) if labels is not None and labels.size else 2
        if not self._losses:
            self._signs = [*self._variances(step), *self._gradients(step)]
        self._losses.append(loss)
        if not self._signs or len(self._losses) <= self._patience or not self._stuck():
            return None
        return self._finding(step)

    def _stuck(self) -> bool:
        first, least = self._losses[0], np.nanmin([*self._losses[1:], math.inf])
        guessing = math.log(self._classes)
        return bool(not least < (1 - HARDLY) * first or least > FAR_WORSE_THAN_GUESSING * guessing)

    def _loss(self, step: int) -> float | None:
        values = [self.reduction(name, step, "mean") for name in self.names(LOSSES, step)]
        return next((value for value in values if value is not None), None)

    def _variances(self, step: int) -> list[str]:
        found = {name: self.value(name, step) for name in self.names("", step, self._regex)}
        variances = {name: float(np.var(value)) for name, value in found.items() if value is not None and value.size}
        if not variances:
            return []
        least, most = min(variances, key=variances.__getitem__), max(variances, key=variances.__getitem__)
        if variances[least] == 0:
            return [f"the inputs of {least} were the same for all nodes and photos"]
        ratio = variances[most] / variances[least]
        if not ratio > self._threshold and math.isfinite(ratio):
            return []
        return [
            f"the inputs of {most} had a variance of {variances[most]:.3g}, those of {least} one of "
            f"{variances[least]:.3g} ({ratio:,.0f} times; {self._threshold:g} is expected at most)"
        ]

    def _gradients(self, step: int) -> list[str]:
        ranges = {name: self._spread(name, step) for name in self.names(GRADIENTS, step)}
        known = {name: value for name, value in ranges.items() if value is not None}
        narrow = [name for name, value in known.items() if value < self._range]
        if not narrow:
            return []
        least = min(narrow, key=known.__getitem__)
        return [
            f"the 5th and the 95th percentile of {least} were {known[least]:.2g} apart, and {len(narrow) - 1} more of "
            f"{len(known)} gradients were as narrow (below {self._range:g})"
        ]

    def _spread(self, name: str, step: int) -> float | None:
        values: NDArray[Any] | None = self.values(name, step)
        if values is not None and values.size > 1:
            low, high = np.percentile(values, [5, 95])
            return float(high - low)
        deviation = self.reduction(name, step, "std") if values is None else None
        return None if deviation is None else NORMAL_RANGE * deviation

    def _finding(self, step: int) -> Finding:
        return self.found(
            step,
            Severity.WARNING,
            f"At the first step {' and '.join(self._signs)}; the loss was {self._losses[0]:.4g} then and "
            f"{self._losses[-1]:.4g} {len(self._losses) - 1} saved steps later "
            f"(guessing costs {math.log(self._classes):.3g}).",
            "The network starts from weights from which signals vanish, explode or cannot be told apart on their way.",
            "Start from trained weights (weights: imagenet), or check the file in the weights channel; where the "
            "weights must be random, use an initializer that keeps variances, such as Kaiming's.",
        )


class TensorVariance(TensorRule):
    """A tensor's values are spread too far, or not at all.

    AWS's rule has no thresholds of its own and looks at what one names. Here it looks at the inputs of activation
    functions, which in a healthy fine-tuning (EfficientNet-Lite0, dogs) have variances from 2 to 16, all along.

    Args:
        base_trial: the trial.
        collection_names: collections, separated by commas.
        tensor_regex: what else.
        max_threshold: None: no upper bound.
        min_threshold: None: no lower bound.
    """

    def __init__(
        self,
        base_trial: Trial,
        collection_names: str = "",
        tensor_regex: str = r".*(relu|tanh|sigmoid)_input",
        max_threshold: float | None = 1e4,
        min_threshold: float | None = 1e-7,
    ) -> None:
        super().__init__(base_trial)
        self._collections = [name.strip() for name in collection_names.split(",")]
        self._regex, self._max, self._min = tensor_regex, max_threshold, min_threshold

    def look(self, step: int) -> Finding | None:
        """Return the tensor that is farthest off."""
        if not self.is_training(step):
            return None
        names = {name for collection in self._collections for name in self.names(collection, step)}
        names |= set(self.names("", step, self._regex)) if self._regex else set()
        variances = {name: self._variance(name, step) for name in sorted(names)}
        known = {name: value for name, value in variances.items() if value is not None and math.isfinite(value)}
        if not known:
            return None
        most, least = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
        if self._max is not None and known[most] > self._max:
            return self._finding(step, most, known[most], f"above {self._max:g}")
        if self._min is not None and known[least] < self._min:
            return self._finding(step, least, known[least], f"below {self._min:g}")
        return None

    def _variance(self, name: str, step: int) -> float | None:
        whole = self.value(name, step)
        if whole is not None and whole.size > 1:
            return float(np.var(whole.astype(np.float64)))
        return self.reduction(name, step, "variance")

    def _finding(self, step: int, name: str, variance: float, where: str) -> Finding:
        high = where.startswith("above")
        return self.found(
            step,
            Severity.WARNING,
            f"The variance of {name} was {variance:.3g}, {where}.",
            "Values on this scale saturate what follows and are about to explode."
            if high
            else "The layer says the same of every photo: nothing that follows can tell photos apart by it.",
            "Lower the learning rate (backbone_lr)."
            if high
            else "Check the weights that the training starts from, and that the photos are not all the same.",
        )
