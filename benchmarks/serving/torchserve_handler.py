"""TorchServe's handler in baseline (c): what the seed server does, for a batch at a time."""

from typing import Any

import torch

from benchmarks.serving.seed_server import DEVICE, answer_of, network, photo_of


class Handler:
    """One worker's network."""

    def initialize(self, context: Any) -> None:
        """Load the network."""
        self.net = network()

    @torch.inference_mode()
    def handle(self, rows: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
        """Answer the photos of a batch."""
        photos = torch.stack([photo_of(bytes(row["body"])) for row in rows]).to(DEVICE)  # (N, 3, 224, 224)
        return [answer_of(logits) for logits in self.net(photos).cpu()]
