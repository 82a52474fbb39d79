"""Baseline (b): LitServe with batching, as its tutorial does it, on what the seed project makes of a photo.

``python -m benchmarks.serving.litserve_server PORT``: torchvision's ResNet50 eager in fp32, raw bytes in at /predict.
"""

import sys
from typing import Annotated, Any, Final

import litserve
import torch
from fastapi import Body
from torch import Tensor

from benchmarks.serving.seed_server import DEVICE, answer_of, network, photo_of

# With 8 clients a batch is full as soon as each has sent; nobody waits longer than this for others.
BATCH: Final = 8
BATCH_SECONDS: Final = 0.01
Photo = Annotated[bytes, Body(media_type="image/jpeg")]


class TutorialApi(litserve.LitAPI):  # type: ignore[misc]  # LitServe is in no environment that types are checked in
    """Eager PyTorch; a worker decodes, runs and encodes."""

    def setup(self, device: str) -> None:
        """Load the network."""
        self.net = network()

    def decode_request(self, request: Photo) -> Tensor:
        """Return a photo as (3, 224, 224)."""
        return photo_of(request)

    def batch(self, inputs: list[Tensor]) -> Tensor:
        """Return the photos as (N, 3, 224, 224)."""
        return torch.stack(inputs)

    @torch.inference_mode()
    def predict(self, x: Tensor) -> Tensor:
        """Map photos (N, 3, 224, 224) to logits (N, classes)."""
        logits: Tensor = self.net(x.to(DEVICE))
        return logits.cpu()

    def unbatch(self, output: Tensor) -> list[Tensor]:
        """Return one row of logits (classes,) per photo."""
        return list(output)

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        """Return the five best."""
        return answer_of(output)


def serve(api: litserve.LitAPI, port: int) -> None:
    """Serve with one worker; it does not return."""
    server = litserve.LitServer(api, accelerator="auto", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


def main() -> None:
    """Serve on the port given as the only argument."""
    serve(TutorialApi(max_batch_size=BATCH, batch_timeout=BATCH_SECONDS), int(sys.argv[1]))


if __name__ == "__main__":
    main()
