"""Job: run the frozen backbone once over the training and validation photos and keep what it says.

python training/extract_features.py --prepared build/prepared --model-dir build/features --backbone auto

A killed job goes on where it stopped: what it has finished stands in the checkpoint folder. Memory holds one part of
the features at a time, however many photos there are.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from contract.names import Channel
from training.environment import StopSignal, add_folder, channel_variable, container_folder, keep_freed_memory
from training.extraction import SPLITS, Extraction, Request
from training.features import FeatureSpec, write_features
from training.photo_set import open_photo_set
from training.progress import say
from vision.backbones import AUTO, BACKBONES, IMAGENET, NO_WEIGHTS, load_backbone


def extract_features(
    prepared: Path, model_dir: Path, checkpoints: Path, request: Request, stop: StopSignal
) -> FeatureSpec:
    """Leave the features and features.json in ``model_dir`` and return the latter.

    Args:
        prepared: what prepare.py left.
        model_dir: gets the features.
        checkpoints: keeps what is finished until everything is.
        request: the options.
        stop: asked after every batch.

    Raises:
        JobInputError: the prepared photos cannot be used.
        vision.weights.WeightsError: the backbone's weights cannot be had.
        Interrupted: SIGTERM came; the finished parts are in ``checkpoints``.
    """
    photos = open_photo_set(prepared)
    loaded = load_backbone(request.backbone, request.weights_uri, request.weights, request.seed)
    if loaded.notice:
        say(f"notice: {loaded.notice}")
    extraction = Extraction(photos, loaded, checkpoints, request, stop)
    for split in SPLITS:
        extraction.run(split)
    spec = extraction.spec()
    write_features(model_dir, spec, {split: extraction.chunks(split) for split in SPLITS})
    extraction.remove_parts()
    return spec


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 1 expected")
    return value


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the frozen backbone once over the prepared photos.")
    add_folder(parser, "--prepared", channel_variable(Channel.PREPARED), "what prepare.py left")
    add_folder(parser, "--model-dir", "SM_MODEL_DIR", "where the features go")
    parser.add_argument(
        "--checkpoint-dir",
        type=Path,
        help="default: the container's checkpoints folder, or <model-dir>-parts outside one",
    )
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
    parser.add_argument(
        "--compile-from",
        type=_at_least_one,
        help="compile the backbone for this many views or more (default: 20,000 on a CPU, never on a GPU)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the crops, and of random weights (default: 0)")
    options = parser.parse_args(arguments)
    if options.checkpoint_dir is None:
        beside = options.model_dir.with_name(options.model_dir.name + "-parts")
        options.checkpoint_dir = container_folder("checkpoints") if "SM_MODEL_DIR" in os.environ else beside
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and extract."""
    options = _options(arguments)
    keep_freed_memory()
    request = Request(
        options.backbone,
        options.weights,
        options.weights_uri,
        options.views,
        options.seed,
        options.compile_from,
    )
    stop = StopSignal().listen()
    spec = extract_features(options.prepared, options.model_dir, options.checkpoint_dir, request, stop)
    say(f"features of {spec.counts['train']:,} training and {spec.counts['valid']:,} validation photos")


if __name__ == "__main__":
    main()
