"""Job: the final training: fit the head with the tuned hyperparameters, fine-tune, test once, leave the artifact.

python training/train_model.py --prepared build/prepared --features build/features --model-dir build/model \
    --output-dir build/output --lr 0.01 --batch-size 64 --epochs 8
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from contract.metrics import FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY, FINAL_VALID_LOSS
from contract.names import Channel
from contract.search_space import Hyperparameters, add_arguments
from training.environment import (
    Interrupted,
    StopSignal,
    add_folder,
    channel_variable,
    container_folder,
    keep_freed_memory,
)
from training.final_training import train_model
from training.job_inputs import Folders, Settings
from training.progress import say


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The final training: fit the head, fine-tune, test once.")
    add_folder(parser, "--prepared", channel_variable(Channel.PREPARED), "what prepare.py left")
    add_folder(parser, "--features", channel_variable(Channel.FEATURES), "what extract_features.py left")
    tuning = os.environ.get(channel_variable(Channel.TUNING))
    parser.add_argument(
        "--tuning", type=Path, default=Path(tuning) if tuning else None, help="folder with tuning.json, for the report"
    )
    add_folder(parser, "--model-dir", "SM_MODEL_DIR", "where the artifact goes")
    add_folder(parser, "--output-dir", "SM_OUTPUT_DATA_DIR", "where metrics, history, report and tensors go")
    parser.add_argument(
        "--checkpoint-dir",
        type=Path,
        help="default: the container's checkpoints folder, or <output-dir>/checkpoints outside one",
    )
    add_arguments(parser)
    parser.add_argument(
        "--fine-tune-epochs",
        type=int,
        help="epochs of fine-tuning after the head is fitted; 0: none (default: as many as --epochs)",
    )
    parser.add_argument(
        "--backbone-lr", type=float, help="learning rate of the backbone while fine-tuning (default: by backbone)"
    )
    parser.add_argument(
        "--fine-tune-views",
        type=int,
        help="views of each photo that are cached; 0: fresh ones in every epoch (default: 3 on a CPU, 0 on a GPU)",
    )
    parser.add_argument("--weights-uri", default=os.environ.get(channel_variable(Channel.WEIGHTS)))
    parser.add_argument("--seed", type=int, default=0, help="of orders and augmentation (default: 0)")
    options = parser.parse_args(arguments)
    if options.fine_tune_epochs is None:
        options.fine_tune_epochs = options.epochs
    if options.fine_tune_epochs < 0:
        parser.error(f"--fine-tune-epochs {options.fine_tune_epochs}: 0 or more expected")
    if options.fine_tune_views is not None and options.fine_tune_views < 0:
        parser.error(f"--fine-tune-views {options.fine_tune_views}: 0 or more expected")
    if options.backbone_lr is not None and not options.backbone_lr > 0:
        parser.error(f"--backbone-lr {options.backbone_lr}: a number above 0 expected")
    if options.checkpoint_dir is None:
        in_container = "SM_MODEL_DIR" in os.environ
        options.checkpoint_dir = container_folder("checkpoints") if in_container else options.output_dir / "checkpoints"
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, train, and print the final metrics."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    folders = Folders(
        options.prepared,
        options.features,
        options.tuning,
        options.model_dir,
        options.output_dir,
        options.checkpoint_dir,
    )
    settings = Settings(
        Hyperparameters(options.lr, options.batch_size, options.epochs),
        options.fine_tune_epochs,
        options.backbone_lr,
        options.fine_tune_views,
        options.weights_uri,
        options.seed,
    )
    try:
        metrics = train_model(folders, settings, StopSignal().listen())
    except Interrupted:
        say(f"the next run continues from the last checkpoint in {options.checkpoint_dir}, if there is one")
        raise
    say(FINAL_VALID_LOSS.line(metrics["valid_loss"]))
    say(FINAL_VALID_ACCURACY.line(metrics["valid_accuracy"]))
    say(FINAL_TEST_ACCURACY.line(metrics["test_accuracy"]))


if __name__ == "__main__":
    main()
