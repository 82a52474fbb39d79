"""Job: run the frozen backbone once over the training and validation photos and keep what it says.

python training/extract_features.py --prepared build/prepared --model-dir build/features --backbone auto
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from PIL import Image
from torch import Tensor

from contract.names import Channel
from training.augmentation import augmented, photo_rng
from training.environment import JobInputError, StopSignal, add_folder, channel_variable, keep_freed_memory
from training.features import Features, FeatureSpec, SplitFeatures, save_features
from training.photo_batches import Transform, photo_batches
from training.photo_set import PhotoReader, PhotoSet, open_photo_set
from training.progress import say
from vision.backbones import AUTO, BACKBONES, IMAGENET, NO_WEIGHTS, Backbone, load_backbone

BATCH_SIZE: Final = 16


@dataclass(frozen=True)
class Request:
    """What to extract: the options of the job."""

    backbone: str = AUTO
    weights: str = IMAGENET
    weights_uri: str | None = None
    views: int = 1
    seed: int = 0


def extract_features(prepared: Path, model_dir: Path, request: Request, stop: StopSignal) -> FeatureSpec:
    """Leave features.npz and features.json in ``model_dir`` and return the latter.

    Raises:
        JobInputError: the prepared photos cannot be used.
        vision.weights.WeightsError: the backbone's weights cannot be had.
    """
    photos = open_photo_set(prepared)
    loaded = load_backbone(request.backbone, request.weights_uri, request.weights, request.seed)
    if loaded.notice:
        say(f"notice: {loaded.notice}")
    backbone = loaded.backbone
    say(f"backbone {backbone.name}, weights: {loaded.origin}")
    reader = PhotoReader(prepared)
    train = _split(photos, "train", backbone, reader, request, stop)
    valid = _split(photos, "valid", backbone, reader, Request(views=1), stop)
    spec = FeatureSpec(
        classes=photos.classes.folders,
        fingerprint=photos.fingerprint,
        backbone=backbone.name,
        weights=request.weights,
        weights_origin=loaded.origin,
        weights_digest=backbone.digest(),
        seed=request.seed,
        feature_dim=backbone.feature_dim,
        views=request.views,
        preprocessing=backbone.preprocessing.as_dict(),
        counts={"train": len(train.labels), "valid": len(valid.labels)},
        left_out=reader.left_out,
        notice=loaded.notice,
    )
    save_features(model_dir, Features(spec, train, valid))
    return spec


def _split(
    photos: PhotoSet, split: str, backbone: Backbone, reader: PhotoReader, request: Request, stop: StopSignal
) -> SplitFeatures:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone.to(device)
    features, labels = [], []
    done, total = 0, len(photos.splits[split])
    for batch in photo_batches(photos.splits[split], reader, _transform(backbone, request), BATCH_SIZE):
        stop.check()
        n, k = batch.views.shape[:2]
        with torch.inference_mode():
            out = backbone(batch.views.flatten(0, 1).to(device))  # (N * K, D)
        features.append(out.float().cpu().view(n, k, -1))
        labels.append(batch.labels)
        before, done = done, done + n
        if done * 10 // total > before * 10 // total:
            say(f"{split}: {done:,} of {total:,} photos")
    if not features:
        raise JobInputError(f"not one of the {total} photos in {photos.directory / split} can be decoded")
    return SplitFeatures(torch.cat(features).to(torch.float16), torch.cat(labels))


def _transform(backbone: Backbone, request: Request) -> Transform:
    preprocessing = backbone.preprocessing

    def views(number: int, image: Image.Image) -> Tensor:
        rng = photo_rng(request.seed, 0, number)
        more = [augmented(image, preprocessing, rng) for _ in range(request.views - 1)]
        return torch.stack([preprocessing.apply(image), *more])  # (K, 3, crop, crop)

    return views


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1 expected")
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and extract."""
    parser = argparse.ArgumentParser(description="Run the frozen backbone once over the prepared photos.")
    add_folder(parser, "--prepared", channel_variable(Channel.PREPARED), "what prepare.py left")
    add_folder(parser, "--model-dir", "SM_MODEL_DIR", "where the features go")
    parser.add_argument(
        "--backbone",
        choices=(AUTO, *BACKBONES),
        default=AUTO,
        help="auto: resnet50, or efficientnet_lite0 where resnet50's weights cannot be reached",
    )
    parser.add_argument("--weights", choices=(IMAGENET, NO_WEIGHTS), default=IMAGENET, help="none: random weights")
    parser.add_argument(
        "--weights-uri",
        default=os.environ.get(channel_variable(Channel.WEIGHTS)),
        help="s3://bucket/prefix/ or folder with resnet50.pth; without it, torchvision's download",
    )
    parser.add_argument(
        "--views", type=_at_least_one, default=1, help="per training photo: the photo itself and views - 1 crops of it"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the crops, and of random weights (default: 0)")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    request = Request(options.backbone, options.weights, options.weights_uri, options.views, options.seed)
    spec = extract_features(options.prepared, options.model_dir, request, StopSignal().listen())
    say(f"features of {spec.counts['train']:,} training and {spec.counts['valid']:,} validation photos")


if __name__ == "__main__":
    main()
