"""What the debugger's hook saves of a training, by name: what the rules look for.

losses: ``CrossEntropyLoss_output_0``, the mean loss of a training batch, of the validation set.
weights, biases: ``<path of the parameter>`` before the step; reductions, and a sample.
gradients: ``gradient/<path of the parameter>`` of the whole step; reductions, and a sample.
activations: ``<path>_relu_input_0``, ``<path>_relu_output_0``, ``<path>_tanh_input_0``, ``<path>_sigmoid_input_0``
    of a training batch, (photos, nodes); of a photo's positions the greatest value; at most 64 photos and 256 nodes.
    ``<path>_relu6_input_0``, of a ReLU6: of a photo's positions the least value.
labels, predictions: ``labels`` and ``predictions`` (N,) int64, classes of a training batch, of the validation set.
samples: ``sample/<name>`` (n,), the same at most 512 values of a weight, bias or gradient each time.
"""

from typing import Final

LOSSES: Final = "losses"
WEIGHTS: Final = "weights"
BIASES: Final = "biases"
GRADIENTS: Final = "gradients"
ACTIVATIONS: Final = "activations"
LABELS: Final = "labels"
PREDICTIONS: Final = "predictions"
SAMPLES: Final = "samples"

LOSS: Final = "CrossEntropyLoss_output_0"
GRADIENT_PREFIX: Final = "gradient/"
SAMPLE_PREFIX: Final = "sample/"
# Enough to see whether weights move and how they are distributed: 32 tensors of ResNet50's last stage are 64 KB.
SAMPLE: Final = 512
# Every reduction that a rule asks for, 4 bytes each; a variance is the square of the deviation.
REDUCTIONS: Final = ("min", "max", "mean", "std")
ABSOLUTE_REDUCTIONS: Final = ("mean",)
# By smdebug's own expressions, losses, weights, biases and gradients need none.
EXPRESSIONS: Final = {
    ACTIVATIONS: r"_(relu6?|tanh|sigmoid)_(input|output)_",
    LABELS: r"^labels$",
    PREDICTIONS: r"^predictions$",
    SAMPLES: f"^{SAMPLE_PREFIX}",
}
