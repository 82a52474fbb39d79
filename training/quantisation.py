"""The network in eight-bit numbers for OpenVINO, made from the finished model and a few training photos.

Post-training quantisation (Jacob et al. 2018, arXiv:1712.05877; NNCF's ``quantize``): no weight is trained, the ranges
of the activations are read off while the network looks at the photos. It is kept only where it names the check photos
as the network does; a training without it is a good training, so nothing that goes wrong here ends one.
"""

import contextlib
import io
import logging
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from contract.names import ArtifactFile
from training.check_set import spread_over_classes
from training.photo_batches import photo_batches
from training.photo_set import PhotoList, PhotoReader
from training.progress import say
from training.pulse import PULSE
from vision.check_photos import Agreement, CheckPhotos
from vision.classifier import LoadedModel
from vision.network import INPUT, OUTPUT, ServedNetwork
from vision.openvino_import import load_nncf, load_openvino, signal_stack_kept

# What NNCF looks at unless told otherwise. A smaller set gives a quarter of its photos, which keeps small runs short
# (a photo takes 0.1 s on two busy cores); ranges read off fewer than LEAST are chance.
MOST: Final = 300
LEAST: Final = 32
_SHARE: Final = 4
_CHECKED_AT_ONCE: Final = 16
# Depthwise convolutions, which have few weights to average errors over and little arithmetic to save, and the first and
# the last layer stay in float32. Measured with EfficientNet-Lite0 and 180 photos that it was not made with: their mean
# log loss rises from 0.089 to 0.095, no label changes, no probability moves by over 0.09. With all layers quantised:
# 0.101, one label, 0.34.
_LAYERS: Final = ("Convolution", "GroupConvolution", "MatMul")
_DEPTHWISE: Final = "GroupConvolution"

_Photos = NDArray[np.uint8]


@dataclass(frozen=True)
class Quantised:
    """How the quantised network does on the check photos.

    Attributes:
        accuracy: the share that it names right.
        agreement: with the network.
    """

    accuracy: float
    agreement: Agreement

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"accuracy": self.accuracy, **asdict(self.agreement)}


def leave_quantised(
    model: LoadedModel, train: PhotoList, reader: PhotoReader, check: CheckPhotos, directory: Path
) -> dict[str, Any]:
    """Write int8.xml and int8.bin into ``directory`` if they are good enough, and return what metrics.json says of it.

    Args:
        model: as it was read from ``directory``.
        train: the training photos.
        reader: decodes them.
        check: what the network says of some validation photos.
        directory: the artifact.

    Returns:
        ``kept``; where it is false, ``reason``; where it was measured, ``Quantised``'s fields, the numbers of photos
        that it was made with and checked on, and the seconds that all this took.
    """
    began = time.monotonic()
    least = LEAST * _SHARE
    if len(train) < least:
        return _refused(f"{len(train)} training photos are too few to read ranges off; {least} or more are needed")
    say(f"quantising the network: {min(MOST, len(train) // _SHARE)} training photos")
    try:
        photos = _calibration_photos(model, train, reader)
        with signal_stack_kept():
            made = _keep_if_good(model, photos, check, directory)
    except ImportError as error:
        return _refused(f"{error}: openvino and nncf are needed")
    except Exception as error:  # noqa: BLE001 (the model is trained and saved: whatever OpenVINO raises, it is not lost)
        traceback.print_exc()
        return _refused(f"it failed: {error!r}"[:500])
    seconds = time.monotonic() - began
    facts = made.as_dict() | {"photos": len(photos), "check_photos": len(check.photos), "seconds": round(seconds, 1)}
    agreement = made.agreement
    if agreement.refusal is not None:
        return _refused(f"of {len(check.photos)} validation photos, {agreement.refusal}") | facts
    say(
        f"quantised in {seconds:.0f} s: of {len(check.photos)} validation photos it names {agreement.top1_changed:.1%} "
        f"otherwise, {made.accuracy:.1%} right; probabilities differ by {agreement.largest_difference:.3f} at most"
    )
    return {"kept": True} | facts


def _refused(reason: str) -> dict[str, Any]:
    say(f"no quantised network: {reason}")
    return {"kept": False, "reason": reason}


def _calibration_photos(model: LoadedModel, train: PhotoList, reader: PhotoReader) -> _Photos:
    """Return training photos as the network sees them, not augmented: (N, 3, crop, crop) uint8."""
    numbers = spread_over_classes(train.labels, min(MOST, len(train) // _SHARE))
    chosen = [train[int(number)] for number in numbers]
    batches = photo_batches(
        chosen, reader, lambda _number, image: model.preprocessing.scale(image)[None], _CHECKED_AT_ONCE
    )
    return np.concatenate([batch.views[:, 0].numpy() for batch in batches])


def _keep_if_good(model: LoadedModel, photos: _Photos, check: CheckPhotos, directory: Path) -> Quantised:
    """Quantise the network, and move its files into the artifact if it agrees with the one that was trained."""
    files = [directory / ArtifactFile.INT8, (directory / ArtifactFile.INT8).with_suffix(".bin")]
    for file in files:
        file.unlink(missing_ok=True)  # of an earlier attempt at this training
    with tempfile.TemporaryDirectory(dir=directory, prefix=".int8-") as folder:
        path = Path(folder) / ArtifactFile.INT8
        _quantise(model, photos, path)
        made = _measure(path, model, check)
        if made.agreement.refusal is None:
            for file in reversed(files):  # the graph last: where it stands, its weights do
                path.with_suffix(file.suffix).replace(file)
    return made


def _quantise(model: LoadedModel, photos: _Photos, path: Path) -> None:
    """Write the quantised network's graph to ``path``, an .xml, and its weights beside it."""
    openvino, nncf = load_openvino(), load_nncf()
    graph = _graph(openvino, ServedNetwork(model).eval())
    layers = [node for node in graph.get_ordered_ops() if node.get_type_name() in _LAYERS]
    in_float = [node for node in layers if node.get_type_name() == _DEPTHWISE or node in (layers[0], layers[-1])]
    ignored = nncf.IgnoredScope(names=[node.get_friendly_name() for node in in_float])
    # Weights are kept to half of eight bits' range: sums of the full range overflow on processors without VNNI.
    half = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)

    def one_photo(photo: _Photos) -> _Photos:
        PULSE.beat()
        return photo[None]  # (1, 3, crop, crop)

    nncf.set_log_level(logging.WARNING)
    data = nncf.Dataset(photos, one_photo)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars are no lines of a log
        quantised = nncf.quantize(graph, data, subset_size=len(photos), ignored_scope=ignored, advanced_parameters=half)
    openvino.save_model(quantised, path, compress_to_fp16=False)


def _graph(openvino: Any, network: ServedNetwork) -> Any:
    """Return ``network`` as OpenVINO's graph: ``photos`` (N, 3, crop, crop) uint8, any N, to ``logits``."""
    example = torch.zeros(1, 3, network.crop, network.crop, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # OpenVINO's way of reading a module, by torch.jit.trace, is deprecated in torch.
        warnings.simplefilter("ignore", FutureWarning)
        graph = openvino.convert_model(network, example_input=example, input=[(INPUT, [-1, *example.shape[1:]])])
    graph.outputs[0].set_names({OUTPUT})
    return graph


def _measure(path: Path, model: LoadedModel, check: CheckPhotos) -> Quantised:
    compiled = load_openvino().Core().compile_model(path, "CPU")
    logits = np.concatenate([compiled(photos)[0] for photos in _batches(check.photos)])  # (N, classes)
    if not np.isfinite(logits).all():
        raise ValueError("some of its logits are no numbers")
    agreement = Agreement.of(logits, check.logits, model.calibration)
    return Quantised(float((logits.argmax(axis=1) == check.labels).mean()), agreement)


def _batches(photos: _Photos) -> Iterator[_Photos]:
    for start in range(0, len(photos), _CHECKED_AT_ONCE):
        yield photos[start : start + _CHECKED_AT_ONCE]
        PULSE.beat()
