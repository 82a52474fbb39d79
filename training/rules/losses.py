"""The rules that look at losses: whether a training learns, and whether it does so for photos that it has not seen."""

import math
from collections.abc import Sequence
from typing import Any, Final

from smdebug import modes

from contract.findings import Finding, Severity
from training.learning_curve import RISE
from training.rules.base import TensorRule, Trial
from training.rules.known_loss import KnownLoss
from training.saved_tensors import LOSSES

# Of what guessing costs: a batch of photos is a small sample, and this is beyond what chance makes of it.
DIVERGED: Final = 2.0
# So many saved training losses in a row must be beyond it: one batch of strongly augmented photos may be.
IN_A_ROW: Final = 3
# From here on three digits would be written with an exponent.
_WRITTEN_OUT: Final = 100
_MORE_PHOTOS: Final = "more or more varied photos, stronger augmentation (randaugment, mixup) or label_smoothing"


class LossNotDecreasing(TensorRule):
    """The loss is not lower than ``num_steps`` steps ago.

    Without a ``mode``, validation losses are compared, and training losses, which are those of single batches, only
    tell a training that has diverged: after ``num_steps`` steps the lowest of three is no lower, and twice that of
    guessing.

    Args:
        base_trial: the trial.
        collection_names: what to look at besides the losses.
        tensor_regex: the same, by name.
        use_losses_collection: whether to look at the collection ``losses``.
        num_steps: how many steps, of the training or evaluations, lie between two compared losses at least.
        diff_percent: by how much the loss must have become less; 0: by anything.
        mode: EVAL, TRAIN or GLOBAL.
    """

    def __init__(
        self,
        base_trial: Trial,
        collection_names: Sequence[str] = (),
        tensor_regex: str | None = None,
        use_losses_collection: bool = True,
        num_steps: int = 10,
        diff_percent: float = 0.0,
        mode: str | None = None,
    ) -> None:
        super().__init__(base_trial)
        self._collections = [*collection_names, *([LOSSES] if use_losses_collection else [])]
        self._regex, self._steps, self._percent, self._mode = tensor_regex, num_steps, diff_percent, mode
        self._known = KnownLoss()
        self._losses: dict[tuple[str, Any], list[tuple[int, float]]] = {}
        self._checked: dict[tuple[str, Any], int] = {}

    def look(self, step: int) -> Finding | None:
        """Compare the losses saved at a step with earlier ones."""
        self._known.see(self, step)
        mode, number = self.base_trial.mode_modestep(step)
        if self._mode is not None and mode.name != self._mode:
            return None
        found: Finding | None = None
        for name in sorted({name for one in self._collections for name in self.names(one, step, self._regex)}):
            loss = self.reduction(name, step, "mean")
            if loss is not None:
                earlier = self._earlier((name, mode), number, loss)
                found = found or (None if earlier is None else self._judge(step, mode, earlier, self._now(name, mode)))
        return found

    def _earlier(self, series: tuple[str, Any], number: int, loss: float) -> tuple[int, float] | None:
        """Keep a loss; return the one that it is to be compared with, if it is time for that."""
        losses = self._losses.setdefault(series, [])
        losses.append((number, loss))
        before = [one for one in losses if one[0] <= number - self._steps]
        if not before or number - self._checked.get(series, -self._steps) < self._steps:
            return None
        self._checked[series] = number
        return before[-1]

    def _now(self, name: str, mode: Any) -> tuple[int, float]:
        """Return the newest loss; of single batches the lowest of the newest few."""
        newest = self._losses[name, mode][-IN_A_ROW if self._is_of_batches(mode) else -1 :]
        return min(newest, key=lambda one: one[1])

    def _is_of_batches(self, mode: Any) -> bool:
        return bool(mode == modes.TRAIN) and self._mode is None

    def _judge(self, step: int, mode: Any, earlier: tuple[int, float], now: tuple[int, float]) -> Finding | None:
        if now[1] < earlier[1] * (1 - self._percent / 100):
            return None
        if self._is_of_batches(mode) and now[1] < DIVERGED * self._known.guessing:
            return None
        what = "validation" if mode == modes.EVAL else "training"
        evidence = f"The {what} loss was {earlier[1]:.3g} at {what} step {earlier[0]}, {now[1]:.3g} at step {now[0]}."
        guess = f"A model that guesses has a loss of {self._known.guessing:.3g}"
        if self._known.is_useless:
            return self.found(
                step,
                Severity.ERROR,
                f"{evidence} {guess}.",
                "The training does not learn: the model is worse than one that guesses.",
                "Lower the learning rates (lr, backbone_lr), and check that the labels belong to the photos.",
            )
        learned = self._known.is_learned
        return self.found(
            step,
            Severity.INFO if learned else Severity.WARNING,
            evidence,
            "There is nothing left to learn at this learning rate."
            if learned
            else "The training has stopped learning before it is good.",
            "Fewer epochs would do."
            if learned
            else "Try another learning rate, or train an earlier stage (first_trained).",
        )


class _Curves(TensorRule):
    """Hands the subclass each validation loss, with the mean of the training losses since the one before."""

    def __init__(self, base_trial: Trial, tensor_regex: str | None = None) -> None:
        super().__init__(base_trial)
        self._regex = tensor_regex
        self._since: list[float] = []

    def look(self, step: int) -> Finding | None:
        """Collect training losses; at an evaluation, judge."""
        names = self.names("" if self._regex else LOSSES, step, self._regex)
        losses = [loss for name in names if (loss := self.reduction(name, step, "mean")) is not None]
        if self.is_training(step):
            self._since += losses
            self.see_training(losses)
            return None
        since, self._since = self._since, []
        if not losses:
            return None
        return self.judge(step, sum(since) / len(since) if since else math.nan, sum(losses) / len(losses))

    def see_training(self, losses: Sequence[float]) -> None:
        """Take in the training losses of a step."""

    def judge(self, step: int, train: float, valid: float) -> Finding | None:
        """Return what a validation loss and the training losses before it (nan: none) show."""
        raise NotImplementedError


class Overfit(_Curves):
    """The validation loss is above the training loss by more than ``ratio_threshold`` of the latter.

    As long as the validation loss does not rise, that is no harm, and the finding only says so. It rises where the
    verdict on the learning curve says so, too: by more than that share of the loss of guessing.

    Args:
        base_trial: the trial.
        tensor_regex: losses by name, instead of the collection ``losses``.
        start_step: the first step that counts.
        patience: how many evaluations in a row must be so.
        ratio_threshold: of (validation - training) / training.
    """

    def __init__(
        self,
        base_trial: Trial,
        tensor_regex: str | None = None,
        start_step: int = 0,
        patience: int = 1,
        ratio_threshold: float = 0.1,
    ) -> None:
        super().__init__(base_trial, tensor_regex)
        self._start, self._patience, self._threshold = start_step, patience, ratio_threshold
        self._in_a_row, self._best = 0, math.inf
        self._known = KnownLoss()

    def look(self, step: int) -> Finding | None:
        """See how large a loss is large."""
        self._known.see(self, step)
        return super().look(step)

    def judge(self, step: int, train: float, valid: float) -> Finding | None:
        """Compare both losses."""
        self._best = min(self._best, valid)
        if step < self._start or math.isnan(train):
            return None
        too_far = valid - train > self._threshold * train
        self._in_a_row = self._in_a_row + 1 if too_far else 0
        if not too_far or self._in_a_row < self._patience:
            return None
        rising = valid - self._best > RISE * self._known.guessing
        ratio = valid / max(train, 1e-12)
        times = f"{ratio:.3g}" if ratio < _WRITTEN_OUT else f"{ratio:,.0f}"
        return self.found(
            step,
            Severity.WARNING if rising else Severity.INFO,
            f"The validation loss was {valid:.3g}, {times} times the training loss of {train:.3g}; at its best it was "
            f"{self._best:.3g}.",
            "The model learns its training photos by heart and becomes worse at others."
            if rising
            else "The model knows its training photos better than others, and does not become worse at these yet.",
            f"Fewer epochs, or {_MORE_PHOTOS}." if rising else f"More epochs would not help; {_MORE_PHOTOS} may.",
        )


class Overtraining(_Curves):
    """Neither loss has become less for a while: the training goes on for nothing.

    Args:
        base_trial: the trial.
        patience_train: for how many saved training losses the best one may stay the best.
        patience_validation: for how many validation losses.
        delta: by how much a loss must be less to be a new best one.
    """

    def __init__(
        self, base_trial: Trial, patience_train: int = 5, patience_validation: int = 10, delta: float = 0.1
    ) -> None:
        super().__init__(base_trial)
        self._train = _Best(patience_train, delta)
        self._valid = _Best(patience_validation, delta)
        self._lowest = math.inf

    def see_training(self, losses: Sequence[float]) -> None:
        """Take in the training losses of a step."""
        for loss in losses:
            self._train.see(loss)

    def judge(self, step: int, train: float, valid: float) -> Finding | None:
        """Say whether both have stopped."""
        self._valid.see(valid)
        self._lowest = min(self._lowest, valid)
        if not (self._train.is_over and self._valid.is_over):
            return None
        worse = valid - self._lowest > self._valid.delta
        return self.found(
            step,
            Severity.WARNING if worse else Severity.INFO,
            f"For {self._valid.waited} evaluations the validation loss, now {valid:.3g}, was not {self._valid.delta:g} "
            "below "
            f"{self._valid.loss:.3g}, and for {self._train.waited} saved steps the training loss not that far below "
            f"{self._train.loss:.3g}.",
            "The training goes on and the model becomes worse."
            if worse
            else "The last epochs brought next to nothing.",
            "Fewer epochs; the best epoch is kept either way.",
        )


class _Best:
    """The lowest loss, and how many came after it that were not lower by ``delta``."""

    def __init__(self, patience: int, delta: float) -> None:
        self.delta, self.loss, self.waited = delta, math.inf, 0
        self._patience = patience

    def see(self, loss: float) -> None:
        """Take in a loss."""
        if loss < self.loss - self.delta:
            self.loss, self.waited = loss, 0
        else:
            self.waited += 1

    @property
    def is_over(self) -> bool:
        """Whether the patience is."""
        return self.waited >= self._patience
