"""The verdict on a learning curve, computed and said in words.

The seed project's rule of thumb: where the lines of training and validation loss meet low, the fit is good; where
they stay apart, the model overfits; where they meet high, it underfits. "Low", "apart" and "high" need a scale that
holds for 2 classes as for 133: every loss is divided by log(classes), the loss of a model that guesses. 0 is perfect,
1 is guessing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from training.history import Epoch

# A training loss above this share of guessing: the model has not learned its own training photos. For 133 classes it
# is a loss of 1.7, for 10 classes 0.8, each about 70 to 75 % accuracy.
HIGH: Final = 0.35
# Validation loss above training loss by more than this share of guessing (133 classes: 0.49, 10 classes: 0.23).
APART: Final = 0.10
# Validation loss risen from its lowest by more than this share of guessing, while training loss fell on.
RISE: Final = 0.05
# Training loss that falls by more than this part of itself in the last epoch has not settled.
STILL_FALLING: Final = 0.03
# Two points make a line, not a curve.
MIN_EPOCHS: Final = 3
# The end of a curve is the median over this many epochs, so that one jump decides nothing.
END_EPOCHS: Final = 3


class VerdictKind(StrEnum):
    """What a learning curve shows."""

    GOOD_FIT = "good fit"
    OVERFITTING = "overfitting"
    UNDERFITTING = "underfitting"
    TOO_SHORT = "too short to say"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Verdict:
    """What the curve shows, what it was read from, and what to do next; ``text`` and ``advice`` are sentences."""

    kind: VerdictKind
    text: str
    advice: str


@dataclass(frozen=True)
class _Ends:
    """Where the curve ends; losses as shares of the loss of guessing, accuracies from 0 to 1."""

    train_loss: float
    valid_loss: float
    lowest_valid_loss: float
    lowest_epoch: int
    train_accuracy: float
    valid_accuracy: float
    falling: bool
    guessing: float

    @property
    def gap(self) -> float:
        return self.valid_loss - self.train_loss

    @property
    def rise(self) -> float:
        return self.valid_loss - self.lowest_valid_loss

    @property
    def losses(self) -> str:
        train, valid = self.train_loss * self.guessing, self.valid_loss * self.guessing
        return f"training loss {train:.2f}, validation loss {valid:.2f}, guessing would be {self.guessing:.2f}"


def judge(history: Sequence[Epoch], classes: int) -> Verdict:
    """Return the verdict on the epochs of one training, in their order.

    Args:
        history: all epochs, of the linear probe and of the fine-tuning alike; losses in nats per photo.
        classes: number of classes, at least 2.

    Raises:
        ValueError: ``classes`` is below 2, for which no loss is high or low.
    """
    if classes < 2:
        raise ValueError(f"a learning curve is judged for 2 classes or more, got {classes}")
    broken = next((e for e in history if not (math.isfinite(e.train_loss) and math.isfinite(e.valid_loss))), None)
    if broken is not None:
        return Verdict(
            VerdictKind.DIVERGED,
            f"The loss was no longer a number in epoch {broken.epoch}: the training diverged.",
            "Train with a lower learning rate, ten times lower to begin with.",
        )
    if len(history) < MIN_EPOCHS:
        return Verdict(
            VerdictKind.TOO_SHORT,
            f"The training had {len(history)} epoch{'' if len(history) == 1 else 's'}: "
            f"at least {MIN_EPOCHS} are needed to see where the lines go.",
            "Train for more epochs to get a verdict.",
        )
    return _judge_ends(_ends(history, math.log(classes)), history[0].train_loss)


def _ends(history: Sequence[Epoch], guessing: float) -> _Ends:
    # Fine-tuning starts anew with a learning rate of its own: its end is not averaged with the probe's.
    last_phase = [epoch for epoch in history if epoch.phase == history[-1].phase]
    end = last_phase[-END_EPOCHS:]
    lowest = min(history, key=lambda epoch: epoch.valid_loss)
    before, last = history[-2].train_loss, history[-1].train_loss
    return _Ends(
        train_loss=median(epoch.train_loss for epoch in end) / guessing,
        valid_loss=median(epoch.valid_loss for epoch in end) / guessing,
        lowest_valid_loss=lowest.valid_loss / guessing,
        lowest_epoch=lowest.epoch,
        train_accuracy=median(epoch.train_accuracy for epoch in end),
        valid_accuracy=median(epoch.valid_accuracy for epoch in end),
        falling=before - last > STILL_FALLING * before,
        guessing=guessing,
    )


def _judge_ends(ends: _Ends, first_train_loss: float) -> Verdict:
    first = first_train_loss / ends.guessing
    if ends.train_loss > max(1.0, first) + RISE:
        return Verdict(
            VerdictKind.DIVERGED,
            f"The training loss rose above that of guessing ({ends.losses}): the training diverged.",
            "Train with a lower learning rate, ten times lower to begin with.",
        )
    if ends.train_loss > HIGH:
        return _underfitting(ends)
    if ends.gap > APART or ends.rise > RISE:
        return _overfitting(ends)
    return Verdict(
        VerdictKind.GOOD_FIT,
        f"The lines meet low ({ends.losses}): what the model learned from the training photos holds for photos it "
        "has never seen.",
        "The training loss was still falling: a few more epochs may add a little."
        if ends.falling
        else "To get better still, add photos of the classes that are confused most.",
    )


def _underfitting(ends: _Ends) -> Verdict:
    lines = "stay high and apart" if ends.gap > APART else "meet high"
    return Verdict(
        VerdictKind.UNDERFITTING,
        f"The lines {lines} ({ends.losses}): the model has not learned even its training photos well, "
        f"{ends.train_accuracy:.0%} of which it gets right.",
        "The training loss was still falling: train for more epochs, or with a higher learning rate."
        if ends.falling
        else "The training loss has settled: unfreeze more of the backbone, take a stronger backbone, or try another "
        "learning rate.",
    )


def _overfitting(ends: _Ends) -> Verdict:
    if ends.gap > APART:
        seen = f"The lines stay apart ({ends.losses})"
    else:
        seen = (
            f"The validation loss has risen since epoch {ends.lowest_epoch} while the training went on ({ends.losses})"
        )
    meaning = (
        f"the model knows its training photos by heart ({ends.train_accuracy:.0%} right) better than it knows the "
        f"classes ({ends.valid_accuracy:.0%} right on validation photos)."
    )
    if ends.train_accuracy - ends.valid_accuracy < 0.05:
        meaning = (
            f"it gets nearly as many validation photos right ({ends.valid_accuracy:.0%}) as training photos "
            f"({ends.train_accuracy:.0%}), but it is far too sure of itself where it is wrong."
        )
    return Verdict(
        VerdictKind.OVERFITTING,
        f"{seen}: {meaning}",
        "Train for fewer epochs or with a lower learning rate, freeze more of the backbone, or add photos.",
    )
