"""How the final training fine-tunes: one declaration -> settings of a stage, SageMaker's map of strings, argparse."""

import argparse
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

from contract.arguments import checked

OPTIMIZERS: Final = ("adamw", "sgd")
PRECISIONS: Final = ("auto", "fp32", "bf16", "fp16")
# RandAugment's scale of magnitudes, as its paper and torchvision have it.
LARGEST_MAGNITUDE: Final = 30
# Photos of 1024 px are larger than what prepare.py keeps by so much that more would only be blur.
RESOLUTIONS: Final = (32, 1024)


@dataclass(frozen=True)
class Recipe:
    """The choices of one fine-tuning; None where backbone, tuning or machine decide.

    Attributes:
        first_trained: the first stage of the backbone that is trained.
        backbone_lr: peak learning rate of the backbone.
        optimizer: one of OPTIMIZERS.
        fine_tune_batch: photos per optimizer step, whatever fits into memory at once; 0: as tuned for the head.
        label_smoothing: share of the target spread over all classes.
        mixup: alpha of the Beta distribution that photos are blended with; 0: off.
        cutmix: alpha of the Beta distribution that says how large a box comes from another photo; 0: off.
        randaugment: magnitude of two random changes of each photo, 0 (off) to LARGEST_MAGNITUDE.
        random_erasing: probability that a box of a photo is blanked.
        ema: decay of the running average of the weights per step, which is then validated and kept; 0: off.
        precision: one of PRECISIONS; auto: bf16 or fp16 where the hardware has it natively, else fp32.
        class_balance: whether each class weighs the same in the loss, however many photos it has.
        test_resolution: pixels at which photos are tested and served.
    """

    first_trained: str | None = None
    backbone_lr: float | None = None
    optimizer: str = "adamw"
    fine_tune_batch: int = 32
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    randaugment: int = 0
    random_erasing: float = 0.0
    ema: float = 0.0
    precision: str = "auto"
    class_balance: bool = False
    test_resolution: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no training can use."""
        self._require("optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}")
        self._require("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        self._require("backbone_lr", self.backbone_lr is None or self.backbone_lr > 0, "a number above 0")
        self._require("fine_tune_batch", self.fine_tune_batch >= 0, "a whole number from 0")
        self._require("label_smoothing", 0 <= self.label_smoothing < 1, "a number from 0 to below 1")
        self._require("ema", 0 <= self.ema < 1, "a number from 0 to below 1")
        self._require("mixup", self.mixup >= 0, "a number from 0")
        self._require("cutmix", self.cutmix >= 0, "a number from 0")
        self._require("random_erasing", 0 <= self.random_erasing <= 1, "a number from 0 to 1")
        magnitudes = f"a whole number from 0 to {LARGEST_MAGNITUDE}"
        self._require("randaugment", 0 <= self.randaugment <= LARGEST_MAGNITUDE, magnitudes)
        low, high = RESOLUTIONS
        fits = self.test_resolution is None or low <= self.test_resolution <= high
        self._require("test_resolution", fits, f"a whole number from {low} to {high}")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise ValueError(f"{_option(name)}={getattr(self, name)}: {allowed} expected")

    @property
    def pixel_augmentations(self) -> tuple[str, ...]:
        """The names of those in use that change pixels: what they change cannot be cached behind the frozen part."""
        return tuple(name for name in ("mixup", "cutmix", "randaugment", "random_erasing") if getattr(self, name))

    def as_strings(self) -> dict[str, str]:
        """Return what differs from the defaults as SageMaker's map of strings, keyed by option name."""
        return {
            _option(each.name): str(value)
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default and value is not None
        }

    def as_dict(self) -> dict[str, Any]:
        """Return all choices as plain JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


_HELP: Final = {
    "first_trained": "the first stage of the backbone that is trained (default: by backbone)",
    "backbone_lr": "learning rate of the backbone while fine-tuning (default: by backbone)",
    "optimizer": f"of the fine-tuning: {' or '.join(OPTIMIZERS)}",
    "fine_tune_batch": "photos per step of the fine-tuning; 0: as --batch-size",
    "label_smoothing": "share of the target spread over all classes",
    "mixup": "alpha of mixup; 0: off",
    "cutmix": "alpha of CutMix; 0: off",
    "randaugment": f"magnitude of RandAugment, up to {LARGEST_MAGNITUDE}; 0: off",
    "random_erasing": "probability of blanking a box of a photo",
    "ema": "decay of the average of the weights that is kept; 0: off",
    "precision": f"of the fine-tuning: {', '.join(PRECISIONS)}; auto: what the hardware has natively",
    "class_balance": "whether every class weighs the same: True or False",
    "test_resolution": "pixels at which photos are tested and served (default: as the backbone was trained)",
}


def _option(name: str) -> str:
    return name.replace("_", "-")


def flag(text: str) -> bool:
    """Return what an option says that is True or False; ValueError otherwise."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r}: True or False expected")
    return text.lower() == "true"


_PARSERS: Final[dict[str, Any]] = {
    "first_trained": str,
    "optimizer": str,
    "precision": str,
    "fine_tune_batch": int,
    "randaugment": int,
    "test_resolution": int,
    "class_balance": flag,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one ``--option`` per choice."""
    for each in fields(Recipe):
        assert each.default is not MISSING
        parser.add_argument(
            f"--{_option(each.name)}",
            type=checked(_PARSERS.get(each.name, float)),
            default=each.default,
            help=_HELP[each.name],
        )


def recipe_of(options: argparse.Namespace) -> Recipe:
    """Return the recipe that was asked for.

    Raises:
        ValueError: a choice cannot be used; the message names it and says what is allowed.
    """
    return Recipe(**{each.name: getattr(options, each.name) for each in fields(Recipe)})
