"""The head: one linear layer on standardised features."""

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """Logits from features: a linear layer on features that have mean 0 and deviation 1 over the training set.

    Standardising makes one learning rate fit every backbone. ``folded`` returns the same function as one plain layer.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, feature_dim: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(feature_dim))
        self.register_buffer("std", torch.ones(feature_dim))
        self.linear = nn.Linear(feature_dim, classes)
        nn.init.zeros_(self.linear.weight)  # every start is the same, whatever the seed, and begins at ln(classes)
        nn.init.zeros_(self.linear.bias)

    def standardise_on(self, features: Tensor) -> None:
        """Take mean and deviation from ``features`` (N, D)."""
        std, mean = torch.std_mean(features.float(), dim=0)
        self.mean.copy_(mean)
        std = std.nan_to_num(0.0)  # of a single photo
        # A feature that hardly varies on the training set must not explode on a photo where it does.
        self.std.copy_(std.clamp_min(max(0.1 * float(std.mean()), 1e-6)))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, D) features to (N, classes) logits."""
        logits: Tensor = self.linear((features - self.mean) / self.std)
        return logits

    def folded(self) -> nn.Linear:
        """Return one linear layer that computes the same logits."""
        classes, feature_dim = self.linear.weight.shape
        layer = nn.Linear(feature_dim, classes, device=self.linear.weight.device)
        with torch.no_grad():
            layer.weight.copy_(self.linear.weight / self.std)
            layer.bias.copy_(self.linear.bias - layer.weight @ self.mean)
        return layer
