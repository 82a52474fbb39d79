"""Baseline (a): the seed project's handler behind a plain threaded server, written fairly.

Pillow, Resize(256), CenterCrop(224), ToTensor, Normalize, torchvision's ResNet50 eager in fp32 and in inference mode,
one request at a time through the network. TCP_NODELAY is on: without it the stock server loses 41 ms a request.
"""

import io
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms
from torchvision.models import resnet50

from benchmarks.serving.artifact import CLASSES

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
_STEPS = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
PREPARE = transforms.Compose([*_STEPS, transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def network() -> nn.Module:
    """Return the network: photos (N, 3, 224, 224) to logits (N, CLASSES); random weights take the same time."""
    net: nn.Module = resnet50(weights=None, num_classes=CLASSES).eval().to(DEVICE)
    return net


def photo_of(body: bytes) -> Tensor:
    """Decode and prepare a photo: (3, 224, 224)."""
    prepared: Tensor = PREPARE(Image.open(io.BytesIO(body)).convert("RGB"))
    return prepared


def answer_of(logits: Tensor) -> dict[str, Any]:
    """Return the five best of logits (CLASSES,) as JSON."""
    top = torch.topk(logits.softmax(0), 5)
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return {"predictions": [{"label": str(label), "probability": p} for label, p in pairs]}


class Handler(BaseHTTPRequestHandler):
    """GET anything: 200; POST anything: the body is a photo."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet
    net: nn.Module
    turn = threading.Lock()

    def do_GET(self) -> None:
        """Answer a health check."""
        self._send({"status": "ready"})

    def do_POST(self) -> None:
        """Answer a photo."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.turn, torch.inference_mode():
            logits = self.net(photo_of(body).unsqueeze(0).to(DEVICE))[0].cpu()  # (CLASSES,)
        self._send(answer_of(logits))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server names it
        """Say nothing: ours writes log lines, the baseline is spared them."""

    def _send(self, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    """A thread per connection; as many may wait to be accepted as the system lets."""

    daemon_threads = True
    request_queue_size = 1024


def main() -> None:
    """Serve on the port given as the only argument."""
    Handler.net = network()
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
