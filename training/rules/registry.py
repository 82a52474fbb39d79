"""All rules of tensors, by AWS's name; importing it imports smdebug."""

from collections.abc import Callable
from typing import Final

from training.rules.activations import DeadRelu, SaturatedActivation
from training.rules.base import TensorRule, Trial
from training.rules.changes import AllZero, ExplodingTensor, UnchangedTensor, VanishingGradient, WeightUpdateRatio
from training.rules.classes import ClassImbalance, Confusion
from training.rules.losses import LossNotDecreasing, Overfit, Overtraining
from training.rules.stalled import StalledTraining
from training.rules.variances import PoorWeightInitialization, TensorVariance

RULES: Final[dict[str, Callable[[Trial], TensorRule]]] = {
    rule.__name__: rule
    for rule in (
        AllZero,
        ClassImbalance,
        Confusion,
        DeadRelu,
        ExplodingTensor,
        LossNotDecreasing,
        Overfit,
        Overtraining,
        PoorWeightInitialization,
        SaturatedActivation,
        StalledTraining,
        TensorVariance,
        UnchangedTensor,
        VanishingGradient,
        WeightUpdateRatio,
    )
}
