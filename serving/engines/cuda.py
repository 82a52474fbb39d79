"""A GPU's tensor cores: float16 or bfloat16, channels-last, each batch size recorded once as a CUDA graph."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from serving.engines.base import Engine, EngineUnavailableError
from vision.check_photos import Logits, Photos
from vision.classifier import LoadedModel
from vision.network import ServedNetwork
from vision.precision import precision_name

# Photos at once for which a graph is recorded; a batch is padded to the next, a larger one cut.
GRAPH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
# Compute capabilities from which tensor cores take the format: Volta, Ampere.
_SINCE: Final = {torch.float16: (7, 0), torch.bfloat16: (8, 0)}
# cuDNN looks for its fastest kernels in the first calls, which must not be recorded (PyTorch manual, CUDA graphs).
_WARM_UP_CALLS: Final = 3


@dataclass(frozen=True)
class Recorded:
    """A graph, the photos (size, 3, crop, crop) that it reads and the logits (size, classes) that it writes."""

    graph: torch.cuda.CUDAGraph
    photos: Tensor
    logits: Tensor


class CudaEngine:
    """Graphs of several batch sizes; a recorded graph costs one launch instead of hundreds."""

    def __init__(self, name: str, network: ServedNetwork) -> None:
        """Record ``network``, which is on the GPU, from the largest batch on: the others share its memory."""
        self._name = name
        self._network = network
        self._memory = torch.cuda.graph_pool_handle()
        self._recorded = {size: self._record(size) for size in reversed(GRAPH_SIZES)}
        largest = self._recorded[GRAPH_SIZES[-1]].photos
        self._staging = torch.empty(largest.shape, dtype=torch.uint8, pin_memory=True)  # (64, 3, crop, crop)

    @property
    def name(self) -> str:
        """The kind and its number format."""
        return self._name

    @torch.inference_mode()
    def logits(self, photos: Photos) -> Logits:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes) float32."""
        most = GRAPH_SIZES[-1]
        return np.concatenate([self._replay(photos[i : i + most]) for i in range(0, len(photos), most)])

    def _replay(self, photos: Photos) -> Logits:
        count = len(photos)
        recorded = self._recorded[next(size for size in GRAPH_SIZES if size >= count)]
        staged = self._staging[:count]
        staged.copy_(torch.from_numpy(photos))
        recorded.photos[:count].copy_(staged, non_blocking=True)
        recorded.graph.replay()
        result: Logits = recorded.logits[:count].float().cpu().numpy()  # waits for the graph
        return result

    @torch.inference_mode()
    def _record(self, size: int) -> Recorded:
        crop = self._network.crop
        photos = torch.zeros((size, 3, crop, crop), dtype=torch.uint8, device="cuda")
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP_CALLS):
                self._network(photos)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory):
            logits = self._network(photos)  # (size, classes)
        return Recorded(graph, photos, logits)


class CudaBuilder:
    """Makes the engine in one number format."""

    kind = "cuda"

    def __init__(self, precision: torch.dtype) -> None:
        """Take torch.float16 or torch.bfloat16."""
        self._precision = precision
        self.name = f"{self.kind} {precision_name(precision)}"

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        """Return the engine; needs no files.

        Raises:
            EngineUnavailableError: there is no GPU, or none whose tensor cores take the format.
        """
        del directory, cache
        if not torch.cuda.is_available():
            raise EngineUnavailableError("no GPU is at hand")
        if torch.cuda.get_device_capability() < _SINCE[self._precision]:
            device = torch.cuda.get_device_name()
            raise EngineUnavailableError(f"the tensor cores of this {device} do not take {self._precision}")
        return CudaEngine(self.name, ServedNetwork(model).to("cuda", self._precision))
