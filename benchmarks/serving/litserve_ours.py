"""Baseline (d): LitServe with our engine and our decoding, to see what our server alone is worth.

``python -m benchmarks.serving.litserve_ours PORT ARTIFACT ENGINE``: the batch is the engine's own.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.serving.engine import pick
from benchmarks.serving.litserve_server import BATCH_SECONDS, Photo, TutorialApi, serve
from serving.scaling import scaled
from vision.classifier import load_card


class OurApi(TutorialApi):
    """Our decoding and our engine in LitServe's worker."""

    def __init__(self, artifact: Path, wanted: str, **batching: Any) -> None:
        """Take the artifact and which engine to run; the object travels into LitServe's worker."""
        super().__init__(**batching)
        self.artifact, self.wanted = artifact, wanted

    def setup(self, device: str) -> None:
        """Build the engine, as our server does."""
        self.engine = pick(self.artifact, self.wanted).engine
        self.spec = load_card(self.artifact).preprocessing

    def decode_request(self, request: Photo) -> Tensor:
        """Return a photo as (3, crop, crop) uint8."""
        return scaled(request, self.spec)

    def predict(self, x: Tensor) -> Tensor:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes)."""
        return torch.from_numpy(self.engine.logits(x.numpy()))


def main() -> None:
    """Serve on the port, from the artifact and with the engine given as arguments."""
    artifact, wanted = Path(sys.argv[2]), sys.argv[3]
    # A batch of 1 would be another loop in LitServe, for which an API is written otherwise.
    batch = max(2, pick(artifact, wanted).batch)
    serve(OurApi(artifact, wanted, max_batch_size=batch, batch_timeout=BATCH_SECONDS), int(sys.argv[1]))


if __name__ == "__main__":
    main()
