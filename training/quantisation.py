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
from dataclasses import asdict, astuple, dataclass
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
# How it is tried, in this order, until one is good enough. Both keep weights to half of eight bits' range: sums of the
# full range overflow on processors without VNNI. Measured there on a fine-tuned EfficientNet-Lite0 and 180 photos: the
# largest difference of a probability is 0.39 with the full range, 0.27 with half of it, 0.05 with the early layers,
# where small errors grow, and the last one left in float32, which costs speed.
_PLAIN: Final = "all layers"
_CAREFUL: Final = "all but the first fifth of the layers and the last one"
_EARLY: Final = 5
_LAYERS: Final = ("Convolution", "GroupConvolution", "MatMul")

_Photos = NDArray[np.uint8]


@dataclass(frozen=True)
class Quantised:
    """How the quantised network does on the check photos.

    Attributes:
        accuracy: the share that it names right.
        agreement: with the network.
        way: how it was made.
    """

    accuracy: float
    agreement: Agreement
    way: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"accuracy": self.accuracy, **asdict(self.agreement), "way": self.way}


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
            best = _keep_best(model, photos, check, directory)
    except ImportError as error:
        return _refused(f"{error}: openvino and nncf are needed")
    except Exception as error:  # noqa: BLE001 (the model is trained and saved: whatever OpenVINO raises, it is not lost)
        traceback.print_exc()
        return _refused(f"it failed: {error!r}"[:500])
    seconds = time.monotonic() - began
    facts = best.as_dict() | {"photos": len(photos), "check_photos": len(check.photos), "seconds": round(seconds, 1)}
    agreement = best.agreement
    if agreement.refusal is not None:
        return _refused(f"of {len(check.photos)} validation photos, {agreement.refusal}") | facts
    say(
        f"quantised in {seconds:.0f} s: of {len(check.photos)} validation photos it names {agreement.top1_changed:.1%} "
        f"otherwise, {best.accuracy:.1%} right; probabilities differ by {agreement.largest_difference:.3f} at most"
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


def _keep_best(model: LoadedModel, photos: _Photos, check: CheckPhotos, directory: Path) -> Quantised:
    """Try both ways until one is good; move the better one's files into the artifact if it is."""
    files = [directory / ArtifactFile.INT8, (directory / ArtifactFile.INT8).with_suffix(".bin")]
    for file in files:
        file.unlink(missing_ok=True)  # of an earlier attempt at this training
    with tempfile.TemporaryDirectory(dir=directory, prefix=".int8-") as folder:
        found: dict[Path, Quantised] = {}
        for way in (_PLAIN, _CAREFUL):
            made = _quantise(model, photos, way, Path(folder) / str(len(found)))
            found[made] = _measure(made, model, check, way)
            if found[made].agreement.refusal is None:
                break
        best = min(found, key=lambda path: astuple(found[path].agreement))
        if found[best].agreement.refusal is None:
            for file in reversed(files):  # the graph last: where it stands, its weights do
                best.with_suffix(file.suffix).replace(file)
    return found[best]


def _quantise(model: LoadedModel, photos: _Photos, way: str, stem: Path) -> Path:
    """Write the network, quantised in one ``way``, beside ``stem``; return the graph's file."""
    openvino, nncf = load_openvino(), load_nncf()
    graph = _graph(openvino, ServedNetwork(model).eval())

    def one_photo(photo: _Photos) -> _Photos:
        PULSE.beat()
        return photo[None]  # (1, 3, crop, crop)

    advanced = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
    options: dict[str, Any] = {"advanced_parameters": advanced}
    if way == _CAREFUL:
        layers = [node.get_friendly_name() for node in graph.get_ordered_ops() if node.get_type_name() in _LAYERS]
        kept = [*layers[: len(layers) // _EARLY], layers[-1]]
        options["ignored_scope"] = nncf.IgnoredScope(names=kept)
    nncf.set_log_level(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars are no lines of a log
        quantised = nncf.quantize(graph, nncf.Dataset(photos, one_photo), subset_size=len(photos), **options)
    path = stem.with_suffix(".xml")
    openvino.save_model(quantised, path, compress_to_fp16=False)
    return path


def _graph(openvino: Any, network: ServedNetwork) -> Any:
    """Return ``network`` as OpenVINO's graph: ``photos`` (N, 3, crop, crop) uint8, any N, to ``logits``."""
    example = torch.zeros(1, 3, network.crop, network.crop, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # OpenVINO's way of reading a module, by torch.jit.trace, is deprecated in torch.
        warnings.simplefilter("ignore", FutureWarning)
        graph = openvino.convert_model(network, example_input=example, input=[(INPUT, [-1, *example.shape[1:]])])
    graph.outputs[0].set_names({OUTPUT})
    return graph


def _measure(path: Path, model: LoadedModel, check: CheckPhotos, way: str) -> Quantised:
    compiled = load_openvino().Core().compile_model(path, "CPU")
    logits = np.concatenate([compiled(photos)[0] for photos in _batches(check.photos)])  # (N, classes)
    if not np.isfinite(logits).all():
        raise ValueError("some of its logits are no numbers")
    agreement = Agreement.of(logits, check.logits, model.calibration)
    return Quantised(float((logits.argmax(axis=1) == check.labels).mean()), agreement, way)


def _batches(photos: _Photos) -> Iterator[_Photos]:
    for start in range(0, len(photos), _CHECKED_AT_ONCE):
        yield photos[start : start + _CHECKED_AT_ONCE]
        PULSE.beat()
