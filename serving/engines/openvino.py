"""OpenVINO on the CPU: float32, bfloat16 where the processor multiplies it, int8 as the training quantised it.

One photo is worked on by all cores. Several are: one per stream, as many streams as OpenVINO finds worth it here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from contract.names import ArtifactFile
from serving.engines.base import Engine, EngineUnavailableError
from serving.logs import logger
from vision.check_photos import Logits, Photos
from vision.classifier import LoadedModel
from vision.network import INPUT, ServedNetwork
from vision.openvino_import import load_openvino, signal_stack_kept
from vision.precision import native_precision, precision_name

_DEVICE: Final = "CPU"
# The network as OpenVINO reads it, in the cache; converting it takes longer than all else at a start.
IR_FILE: Final = "openvino.xml"
# What a shape's first dimension is called for torch.export; 2 of them, because 1 would be taken for a constant.
_EXAMPLE_PHOTOS: Final = 2


class OpenVinoEngine:
    """A network compiled twice: for one photo on all cores, and for several photos side by side."""

    def __init__(self, name: str, network: Any, precision: str, cache: Path | None) -> None:
        """Compile ``network``, an ``openvino.Model``; ``precision`` is f32 or bf16, which int8 layers do not heed."""
        self._name = name
        ov = load_openvino()
        core = ov.Core()
        network.reshape([1, *network.input(0).partial_shape[1:]])
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
        if cache is not None:
            settings["CACHE_DIR"] = str(cache)
        with signal_stack_kept():
            one = core.compile_model(network, _DEVICE, settings | {"PERFORMANCE_HINT": "LATENCY"})
            several = core.compile_model(network, _DEVICE, settings | {"PERFORMANCE_HINT": "THROUGHPUT"})
        self._one = one.create_infer_request()
        self._several = ov.AsyncInferQueue(several, several.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._classes = int(one.output(0).shape[1])

    @property
    def name(self) -> str:
        """The kind, and the number format where it is not the kind's usual one."""
        return self._name

    def logits(self, photos: Photos) -> Logits:
        """Map photos (N, 3, crop, crop) uint8 to logits (N, classes) float32."""
        result = np.empty((len(photos), self._classes), np.float32)
        photos = np.ascontiguousarray(photos)  # shared with OpenVINO, which reads it as one piece
        if len(photos) == 1:
            result[0] = self._one.infer(photos, share_inputs=True)[0][0]
            return result
        self._several.set_callback(_into(result))
        for index in range(len(photos)):
            self._several.start_async(photos[index : index + 1], index, share_inputs=True)
        self._several.wait_all()
        return result


def _into(result: Logits) -> Callable[[Any, int], None]:
    """Return what puts the logits of photo ``index`` where they belong."""

    def keep(request: Any, index: int) -> None:
        result[index] = request.get_output_tensor(0).data[0]  # (classes,)

    return keep


class OpenVinoBuilder:
    """Makes the engine in float32, or in bfloat16."""

    kind = "openvino"

    def __init__(self, precision: torch.dtype = torch.float32) -> None:
        self._precision = precision
        self.name = self.kind if precision == torch.float32 else f"{self.kind} {precision_name(precision)}"

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        """Return the engine; the converted network is kept in ``cache``.

        Raises:
            EngineUnavailableError: OpenVINO is not installed, or the processor does not multiply bfloat16.
        """
        del directory
        ov = _openvino()
        if self._precision == torch.float32:
            return OpenVinoEngine(self.name, _converted(ov, model, cache), "f32", cache)
        if native_precision(torch.device("cpu")) != self._precision:
            raise EngineUnavailableError(f"this processor does not multiply {precision_name(self._precision)}")
        return OpenVinoEngine(self.name, _converted(ov, model, cache), "bf16", cache)


class Int8Builder:
    """Makes the engine of the network that the training quantised."""

    kind = name = "openvino-int8"

    def build(self, model: LoadedModel, directory: Path, cache: Path | None) -> Engine:
        """Return the engine; ``cache`` is OpenVINO's own.

        Raises:
            EngineUnavailableError: OpenVINO is not installed, or the artifact holds no quantised network.
        """
        ov = _openvino()
        path = directory / ArtifactFile.INT8
        if not path.is_file():
            raise EngineUnavailableError(f"the artifact holds no {ArtifactFile.INT8}")
        network = ov.Core().read_model(path)
        given, crop = network.input(0), model.preprocessing.crop
        if given.element_type != ov.Type.u8 or not given.partial_shape.compatible(ov.PartialShape([1, 3, crop, crop])):
            raise EngineUnavailableError(f"{path} takes {given}, photos (N, 3, {crop}, {crop}) of uint8 expected")
        return OpenVinoEngine(self.kind, network, "f32", cache)


def _openvino() -> Any:
    try:
        return load_openvino()
    except ImportError as error:
        raise EngineUnavailableError(f"OpenVINO is not installed: {error}") from error


def _converted(ov: Any, model: LoadedModel, cache: Path | None) -> Any:
    """Return the network as an ``openvino.Model``, from the cache where it holds one that can be read."""
    path = cache / IR_FILE if cache is not None else None
    if path is not None and path.is_file() and path.with_suffix(".bin").is_file():
        return ov.Core().read_model(path)
    network = _convert(ov, ServedNetwork(model))
    if path is not None:
        try:
            _save(ov, network, path)
        except (OSError, RuntimeError) as error:  # a full disk, say: the next start converts again
            logger.warning("the converted network is not kept: %s", error)
    return network


def _convert(ov: Any, network: ServedNetwork) -> Any:
    photos = torch.zeros((_EXAMPLE_PHOTOS, 3, network.crop, network.crop), dtype=torch.uint8)
    exported = torch.export.export(network, (photos,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    converted = ov.convert_model(exported)
    converted.input(0).set_names({INPUT})
    converted.reshape([-1, *photos.shape[1:]])
    return converted


def _save(ov: Any, network: Any, path: Path) -> None:
    """Write ``path`` and its .bin, the first last and both by renaming, so that what can be found is whole."""
    partial = path.with_name(f"partial-{path.name}")
    try:
        ov.save_model(network, partial, compress_to_fp16=False)
        partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
        partial.replace(path)
    finally:
        for left in (partial, partial.with_suffix(".bin")):
            left.unlink(missing_ok=True)
