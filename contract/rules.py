"""The rules that look at a training's tensors, by AWS's names: what settings may choose from and reports list."""

from typing import Final

TENSOR_RULES: Final = (
    "AllZero",
    "ClassImbalance",
    "Confusion",
    "DeadRelu",
    "ExplodingTensor",
    "LossNotDecreasing",
    "Overfit",
    "Overtraining",
    "PoorWeightInitialization",
    "SaturatedActivation",
    "StalledTraining",
    "TensorVariance",
    "UnchangedTensor",
    "VanishingGradient",
    "WeightUpdateRatio",
)
# In the place of their names, where none are wanted: a hyperparameter of SageMaker is never empty.
NO_RULES: Final = "none"
