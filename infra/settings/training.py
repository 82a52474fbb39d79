"""How the final training fine-tunes; the choices themselves, and what they mean to it, stand in contract/recipe.py."""

from dataclasses import asdict, dataclass
from typing import Final

from contract.recipe import LARGEST_MAGNITUDE, OPTIMIZERS, PRECISIONS, RESOLUTIONS, Recipe
from contract.rules import NO_RULES, TENSOR_RULES
from infra.checks import Above, Flag, Fraction, ListOf, OneOf, SettingsError, Text, Unset, WholeNumber, checked, verify

_USUAL: Final = Recipe()
_STAGE_NAME: Final = Text(r"[a-z0-9_.]{1,40}", "a stage of the backbone, such as layer4 (ResNet50) or blocks.6")


@dataclass(frozen=True, kw_only=True)
class Training:
    """The fine-tuning after the head has been fitted. What changes pixels costs the cached activations, and says so."""

    first_trained: str | None = checked(
        _USUAL.first_trained,
        Unset(_STAGE_NAME),
        "The first stage of the backbone that is trained; null: layer4 of ResNet50, blocks.6 of EfficientNet-Lite0.",
    )
    backbone_lr: float | None = checked(
        _USUAL.backbone_lr, Unset(Above(0, 1)), "The backbone's learning rate at its peak; null: by backbone."
    )
    optimizer: str = checked(_USUAL.optimizer, OneOf(OPTIMIZERS), "Of the fine-tuning.")
    fine_tune_batch: int = checked(
        _USUAL.fine_tune_batch,
        WholeNumber(0, 4096),
        "Photos per step, in as many passes as the memory needs; 0: as many as were found best for the head.",
    )
    label_smoothing: float = checked(
        _USUAL.label_smoothing, Fraction(), "The share of the target that is spread over all classes; below 1."
    )
    mixup: float = checked(_USUAL.mixup, Fraction(), "Blends photos: alpha of the Beta distribution; 0: off.")
    cutmix: float = checked(
        _USUAL.cutmix, Fraction(), "Pastes a part of another photo: alpha of the Beta distribution; 0: off."
    )
    randaugment: int = checked(
        _USUAL.randaugment,
        WholeNumber(0, LARGEST_MAGNITUDE),
        "The magnitude of two random changes of each photo's shape and colours; 0: off.",
    )
    random_erasing: float = checked(
        _USUAL.random_erasing, Fraction(), "The probability that a box of a photo is blanked; 0: off."
    )
    ema: float = checked(
        _USUAL.ema, Fraction(), "The decay of the average of the weights that is tested and kept; below 1; 0: off."
    )
    precision: str = checked(
        _USUAL.precision,
        OneOf(PRECISIONS),
        "auto: bf16 or fp16 where the hardware has it natively, which is checked, else fp32.",
    )
    class_balance: bool = checked(
        _USUAL.class_balance, Flag(), "Whether each class weighs the same in the loss, however many photos it has."
    )
    test_resolution: int | None = checked(
        _USUAL.test_resolution,
        Unset(WholeNumber(*RESOLUTIONS)),
        "The pixels at which photos are tested and served; null: those that the backbone was trained with.",
    )

    def __post_init__(self) -> None:
        """Refuse values that the training would refuse."""
        verify(self)
        for name in ("label_smoothing", "ema"):
            if getattr(self, name) == 1:
                raise SettingsError(name, 1, "a number from 0 to below 1")

    @property
    def recipe(self) -> Recipe:
        """The same choices as the training job reads them."""
        return Recipe(**asdict(self))


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What looks on while a model is trained. What each rule means stands in training/rules/."""

    on: tuple[str, ...] | None = checked(
        None,
        Unset(ListOf(OneOf(TENSOR_RULES))),
        "The rules that look at losses, weights, gradients and activations; null: all; an empty list: none, and no "
        "tensors are saved.",
    )
    stop_early: bool = checked(
        True, Flag(), "Whether what a rule calls an error ends the training at once, with the finding as the reason."
    )

    def __post_init__(self) -> None:
        """Refuse rules that there are not."""
        verify(self)

    def as_strings(self) -> dict[str, str]:
        """Return what the training job is told."""
        on = {} if self.on is None else {"rules": ",".join(self.on) or NO_RULES}
        return on | {"stop-early": str(self.stop_early)}
