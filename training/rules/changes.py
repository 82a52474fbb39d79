"""The rules that look at weights and gradients: whether they are numbers, whether they move, and how far."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contract.findings import Finding, Severity
from training.rules.base import TensorRule, Trial
from training.rules.known_loss import KnownLoss
from training.saved_tensors import BIASES, GRADIENTS, LOSSES, WEIGHTS

_CHECK: Final = "Check that the labels belong to the photos and that the photos are not all the same or black"


class _TrainingRule(TensorRule):
    """Looks at tensors of training steps, and knows how good the model is."""

    def __init__(self, base_trial: Trial, collection_names: Sequence[str], tensor_regex: str | None = None) -> None:
        super().__init__(base_trial)
        self._collections, self._regex = tuple(collection_names), tensor_regex
        self.known = KnownLoss()
        self._ever = False

    def look(self, step: int) -> Finding | None:
        """Look at a step of the training."""
        self.known.see(self, step)
        names = sorted({name for one in self._collections or ("",) for name in self.names(one, step, self._regex)})
        self._ever = self._ever or bool(names)
        self.has_data = self._ever  # losses and labels alone are nothing to judge
        return self.judge(step, names) if names and self.is_training(step) else None

    def judge(self, step: int, names: list[str]) -> Finding | None:
        """Return what the tensors of a step show."""
        raise NotImplementedError

    def severity(self, everywhere: bool) -> Severity:
        """Return how bad it is that nothing moves: no harm in a model that has learned."""
        if self.known.is_learned:
            return Severity.INFO
        return Severity.ERROR if everywhere else Severity.WARNING

    def unless_learned(self, meaning: str, advice: str) -> tuple[str, str]:
        """Return what it means that nothing moves, and what to change."""
        if self.known.is_learned:
            return "There is little left to learn.", "Fewer epochs would do."
        return meaning, advice


def _some(names: list[str], of: int) -> str:
    return f"{names[0]}" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more of {of} tensors"


class ExplodingTensor(TensorRule):
    """A loss, weight or gradient is no finite number.

    Args:
        base_trial: the trial.
        collection_names: which tensors.
        tensor_regex: more of them, by name.
        only_nan: whether infinite values are no matter.
    """

    def __init__(
        self,
        base_trial: Trial,
        collection_names: Sequence[str] = (LOSSES, WEIGHTS, BIASES, GRADIENTS),
        tensor_regex: str | None = None,
        only_nan: bool = False,
    ) -> None:
        super().__init__(base_trial)
        self._collections, self._regex = tuple(collection_names), tensor_regex
        self._wrong = np.isnan if only_nan else _not_finite

    def look(self, step: int) -> Finding | None:
        """Look at the least and the greatest value of each tensor, which is no number if any value is none."""
        for name in sorted({name for one in self._collections for name in self.names(one, step, self._regex)}):
            ends = [self.reduction(name, step, "min"), self.reduction(name, step, "max")]
            if any(end is not None and bool(self._wrong(end)) for end in ends):
                return self.found(
                    step,
                    Severity.ERROR,
                    f"{name} ranged from {ends[0]:.3g} to {ends[1]:.3g}.",
                    "The training has broken down: nothing can be learned from what is no number.",
                    "Lower the learning rates (lr, backbone_lr); where the precision is fp16, try bf16 or fp32.",
                )
        return None


def _not_finite(value: float) -> bool:
    return not np.isfinite(value)


class VanishingGradient(_TrainingRule):
    """The mean of a gradient's absolute values is below ``threshold``, twice in a row.

    A head that starts at zero has a bias without one at the first step if the batch holds as many photos of each class.

    Args:
        base_trial: the trial.
        threshold: of the mean.
    """

    def __init__(self, base_trial: Trial, threshold: float = 1e-7) -> None:
        super().__init__(base_trial, (GRADIENTS,))
        self._threshold = threshold
        self._before: set[str] = set()

    def judge(self, step: int, names: list[str]) -> Finding | None:
        """Compare each gradient with the threshold."""
        means = {name: self.reduction(name, step, "mean", absolute=True) for name in names}
        below = {name for name, mean in means.items() if mean is not None and mean < self._threshold}
        small, self._before = sorted(below & self._before), below
        if not small:
            return None
        return self.found(
            step,
            self.severity(len(small) == len(names)),
            f"The values of {_some(small, len(names))} were {means[small[0]]:.2g} on average, below "
            f"{self._threshold:g}; "
            f"the loss was {self.known.newest:.3g}.",
            *self.unless_learned(
                "What has such gradients does not learn.",
                "Start from trained weights, lower the learning rate if activations saturate, or train fewer stages.",
            ),
        )


class AllZero(_TrainingRule):
    """At least ``threshold`` percent of a tensor's values are zero, twice in a row (a head starts at zero).

    Args:
        base_trial: the trial.
        collection_names: which tensors.
        tensor_regex: more of them, by name.
        threshold: in percent.
    """

    def __init__(
        self,
        base_trial: Trial,
        collection_names: Sequence[str] = (WEIGHTS, GRADIENTS),
        tensor_regex: str | None = None,
        threshold: float = 100.0,
    ) -> None:
        super().__init__(base_trial, collection_names, tensor_regex)
        self._threshold = threshold
        self._before: set[str] = set()

    def judge(self, step: int, names: list[str]) -> Finding | None:
        """Count zeros."""
        shares = {name: self._zeros(name, step) for name in names}
        zero = {name for name, share in shares.items() if share is not None and share >= self._threshold}
        twice, self._before = sorted(zero & self._before), zero
        if not twice:
            return None
        return self.found(
            step,
            self.severity(len(twice) == len(names)),
            f"{shares[twice[0]]:.0f} % of the values of {_some(twice, len(names))} were 0.",
            "What is zero passes nothing on and does not learn.",
            f"{_CHECK}; where the weights are not the trained ones, start from those.",
        )

    def _zeros(self, name: str, step: int) -> float | None:
        mean = self.reduction(name, step, "mean", absolute=True)
        if mean == 0:
            return 100.0
        values = self.values(name, step)
        return None if values is None or not values.size else 100.0 * float((values == 0).mean())


class _Moving(_TrainingRule):
    """Compares tensors with what they were at earlier saved steps."""

    def __init__(
        self, base_trial: Trial, collection_names: Sequence[str], tensor_regex: str | None = None, keep: int = 2
    ) -> None:
        super().__init__(base_trial, collection_names, tensor_regex)
        self._keep = keep
        self._past: dict[str, list[tuple[int, NDArray[Any]]]] = {}

    def series(self, step: int, names: list[str]) -> Iterator[tuple[str, list[tuple[int, NDArray[Any]]]]]:
        """Yield each tensor's name, and the last steps and values that are kept, this step's included."""
        for name in names:
            values = self.values(name, step)
            if values is not None:
                past = self._past.setdefault(name, [])
                past.append((step, values))
                del past[: -self._keep]
                yield name, past


class UnchangedTensor(_Moving):
    """A weight has the same values as at the ``num_steps`` - 1 saved steps before.

    Args:
        base_trial: the trial.
        collection_names: which tensors.
        tensor_regex: more of them, by name.
        num_steps: how many saved steps are compared.
        rtol: see numpy.allclose.
        atol: see numpy.allclose.
        equal_nan: see numpy.allclose.
    """

    def __init__(
        self,
        base_trial: Trial,
        collection_names: Sequence[str] = (WEIGHTS,),
        tensor_regex: str | None = None,
        num_steps: int = 3,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        equal_nan: bool = False,
    ) -> None:
        super().__init__(base_trial, collection_names, tensor_regex, num_steps)
        self._steps = num_steps
        self._rtol, self._atol, self._equal_nan = rtol, atol, equal_nan

    def judge(self, step: int, names: list[str]) -> Finding | None:
        """Compare each tensor with its past."""
        still: list[str] = []
        since = step
        for name, past in self.series(step, names):
            values = [one for _, one in past]
            if len(past) == self._steps and all(self._same(one, other) for one, other in itertools.pairwise(values)):
                still.append(name)
                since = past[0][0]
        if not still:
            return None
        return self.found(
            step,
            self.severity(len(still) == len(names)),
            f"{_some(still, len(names))} has not changed since step {since}; the loss was {self.known.newest:.3g}.",
            *self.unless_learned(
                "What does not change does not learn.",
                "Raise the learning rate (lr, backbone_lr), or train fewer stages (first_trained) if it is meant so.",
            ),
        )

    def _same(self, one: NDArray[Any], other: NDArray[Any]) -> bool:
        return np.allclose(one, other, self._rtol, self._atol, self._equal_nan)


class WeightUpdateRatio(_Moving):
    """The mean change of a weight, relative to its mean size, is too large or too small.

    Args:
        base_trial: the trial.
        num_steps: over how many steps at most; None: since the saved step before.
        large_threshold: above this it is too large.
        small_threshold: below this it is too small.
        epsilon: keeps the ratio finite. A weight that was all zero has none, and is left out.
    """

    def __init__(
        self,
        base_trial: Trial,
        num_steps: int | None = None,
        large_threshold: float = 10.0,
        small_threshold: float = 1e-8,
        epsilon: float = 1e-9,
    ) -> None:
        super().__init__(base_trial, (WEIGHTS,), None, 2 if num_steps is None else num_steps + 1)
        self._steps, self._epsilon = num_steps, epsilon
        self._large, self._small = large_threshold, small_threshold

    def judge(self, step: int, names: list[str]) -> Finding | None:
        """Compute each weight's ratio."""
        ratios: dict[str, float] = {}
        for name, past in self.series(step, names):
            within = past if self._steps is None else [one for one in past if one[0] >= step - self._steps]
            before, now = within[0][1], past[-1][1]
            if len(within) > 1 and np.any(before):
                ratios[name] = float(np.abs(now - before).mean() / (np.abs(before).mean() + self._epsilon))
        if not ratios:
            return None
        largest, smallest = max(ratios, key=ratios.__getitem__), min(ratios, key=ratios.__getitem__)
        if ratios[largest] > self._large:
            return self.found(
                step,
                Severity.ERROR,
                f"{largest} changed by {ratios[largest]:,.3g} times its size since the saved step before.",
                "The weights do not follow the gradients any more: they are thrown far away from where they were good.",
                "Lower the learning rates (lr, backbone_lr).",
            )
        if ratios[smallest] < self._small:
            return self.found(
                step,
                self.severity(ratios[largest] < self._small),
                f"{smallest} changed by {ratios[smallest]:.2g} of its size since the saved step before.",
                *self.unless_learned(
                    "What hardly changes hardly learns.", "Raise the learning rate (lr, backbone_lr)."
                ),
            )
        return None
