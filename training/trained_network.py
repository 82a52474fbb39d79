"""The network that fine-tuning changes: the trained part of the backbone and the head, as one module."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.activations import TrainedPart
from vision.heads import Head

# Forward passes keep what the backward pass needs. On a CPU this leaves room for all else within 2 GiB.
MEMORY_ON_CPU: Final = 2**29
# Of a GPU's free memory: the rest is for gradients, the optimizer and the allocator's losses.
SHARE_OF_GPU: Final = 0.5


class TrainedNetwork(nn.Module):
    """Maps the frozen part's output (N, C, h, w) to logits (N, classes) float32."""

    def __init__(self, part: TrainedPart, head: Head) -> None:
        super().__init__()
        self.part, self.head = part, head
        self.layers = nn.ModuleList([module for _, modules in part.trained for module in modules])

    def forward(self, activations: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, classes)."""
        logits: Tensor = self.head(self.part.run_trained(activations))
        return logits


class Average:
    """An exponential moving average of a network's weights, which is validated and kept in their place.

    Args:
        network: whose weights.
        decay: share of the average that stays at each step; 0: there is no average, only the weights themselves.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay, self._steps = network, decay, 0
        self._weights = copy.deepcopy(network.state_dict()) if decay else {}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step; early steps count for more, or a short training would average its start."""
        if not self._decay:
            return
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for key, value in self._network.state_dict().items():
            if value.is_floating_point():
                self._weights[key].lerp_(value, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the network while the context lasts."""
        if not self._decay:
            yield
            return
        own = copy.deepcopy(self._network.state_dict())
        self._network.load_state_dict(self._weights)
        try:
            yield
        finally:
            self._network.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"weights": self._weights, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from ``state_dict``'s values."""
        self._weights = {key: value.clone().to(_device(self._network)) for key, value in state["weights"].items()}
        self._steps = state["steps"]


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def most_at_once(part: TrainedPart, head: Head) -> int:
    """Return how many photos can be trained on at once in the memory at hand; one photo is measured, none is learned.

    What is counted is what autograd keeps for the backward pass, twice: gradients of activations take as much again.
    """
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size() if tensor.shape[:1] == (2,) else 0  # not the weights
        return tensor

    crop = part.backbone.preprocessing.crop
    activations = part.run_frozen(torch.zeros(2, 3, crop, crop, device=part.device))
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        TrainedNetwork(part, head)(activations)
    if part.device.type == "cuda":
        budget = int(torch.cuda.mem_get_info(part.device)[0] * SHARE_OF_GPU)
    else:
        budget = MEMORY_ON_CPU
    photo = crop * crop * 3 * 4
    return max(1, budget // (2 * (kept // 2 + photo)))
