"""The network that engines run: scaled photos in, logits out, with nothing left to do before or after it."""

from typing import Final

import torch
from torch import Tensor, nn

from vision.classifier import LoadedModel
from vision.folding import folded

# Names of the graph's input and output in every exported form.
INPUT: Final = "photos"
OUTPUT: Final = "logits"


class ServedNetwork(nn.Module):
    """Maps scaled photos (N, 3, crop, crop), uint8, to logits (N, classes), float32.

    Normalisation is its first step, so that a photo travels as a quarter of the bytes.
    """

    def __init__(self, model: LoadedModel) -> None:
        """Take the model's network, with batch norms folded into the convolutions; ``model`` stays as it is."""
        super().__init__()
        weight, bias = model.preprocessing.affine()  # (3, 1, 1) each
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.classifier = folded(model.classifier)
        self.crop = model.preprocessing.crop

    def forward(self, photos: Tensor) -> Tensor:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes)."""
        normalised = photos.to(self.weight.dtype) * self.weight + self.bias
        logits: Tensor = self.classifier(normalised.contiguous(memory_format=torch.channels_last))
        return logits
