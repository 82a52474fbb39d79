"""Job: the final training: fit the head with the tuned hyperparameters, fine-tune, test once, leave the artifact.

python training/train_model.py --prepared build/prepared --features build/features --model-dir build/model \
    --output-dir build/output --lr 0.01 --batch-size 64 --epochs 8
"""

import argparse
import io
import logging
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path

from contract import recipe
from contract.arguments import checked
from contract.findings import Severity
from contract.inference import KNOWN_SHARE
from contract.metrics import FINAL_ERRORS, FINAL_TEST_ACCURACY, FINAL_VALID_ACCURACY, FINAL_VALID_LOSS, FINAL_WARNINGS
from contract.names import Channel, OutputFile
from contract.recipe import flag
from contract.rules import NO_RULES, TENSOR_RULES
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
from training.journal import NO_JOURNAL, Journal, open_journal
from training.progress import say
from training.provenance import UNKNOWN_REVISION
from training.world import World, join_world


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
    recipe.add_arguments(parser)
    parser.add_argument(
        "--fine-tune-views",
        type=int,
        help="views of each photo that are cached; 0: fresh ones in every epoch (default: 3 on a CPU, 0 on a GPU)",
    )
    parser.add_argument("--weights-uri", default=os.environ.get(channel_variable(Channel.WEIGHTS)))
    parser.add_argument("--seed", type=int, default=0, help="of orders and augmentation (default: 0)")
    parser.add_argument(
        "--known-share",
        type=checked(_share),
        default=KNOWN_SHARE,
        help=f"share of the validation photos that the model is to be sure of; 0: it is not asked ({KNOWN_SHARE:g})",
    )
    parser.add_argument(
        "--profiler", type=checked(flag), default=True, help="whether to profile: True or False (default: True)"
    )
    parser.add_argument(
        "--loader-threads", type=int, default=0, help="threads that decode photos; 0: one per core (default: 0)"
    )
    parser.add_argument(
        "--rules",
        type=checked(_rules),
        default=TENSOR_RULES,
        help=f"which look on while it trains, separated by commas (default: all of {', '.join(TENSOR_RULES)})",
    )
    parser.add_argument(
        "--stop-early",
        type=checked(flag),
        default=True,
        help="whether what a rule finds may end the training: True or False (default: True)",
    )
    parser.add_argument(
        "--mlflow-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="MLflow server that gets metrics, choices and report (default: $MLFLOW_TRACKING_URI)",
    )
    parser.add_argument("--source-revision", default=UNKNOWN_REVISION, help="of this code, for metrics.json")
    options = parser.parse_args(arguments)
    if options.fine_tune_epochs is None:
        options.fine_tune_epochs = options.epochs
    if options.fine_tune_epochs < 0:
        parser.error(f"--fine-tune-epochs {options.fine_tune_epochs}: 0 or more expected")
    if options.loader_threads < 0:
        parser.error(f"--loader-threads {options.loader_threads}: 0 or more expected")
    if options.fine_tune_views is not None and options.fine_tune_views < 0:
        parser.error(f"--fine-tune-views {options.fine_tune_views}: 0 or more expected")
    try:
        options.recipe = recipe.recipe_of(options)
    except ValueError as error:
        parser.error(f"--{error}")
    if options.fine_tune_views and options.recipe.pixel_augmentations:
        changed = ", ".join(options.recipe.pixel_augmentations)
        parser.error(f"--fine-tune-views {options.fine_tune_views}: 0 expected, for {changed} cannot be cached")
    if options.checkpoint_dir is None:
        in_container = "SM_MODEL_DIR" in os.environ
        options.checkpoint_dir = container_folder("checkpoints") if in_container else options.output_dir / "checkpoints"
    return options


def _rules(text: str) -> tuple[str, ...]:
    names = tuple(name for part in text.split(",") if (name := part.strip()) and name != NO_RULES)
    if unknown := sorted(set(names) - set(TENSOR_RULES)):
        raise ValueError(f"{', '.join(unknown)}: some of {', '.join(TENSOR_RULES)} expected, or {NO_RULES}")
    return names


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError(f"{text}: a number from 0 to 1 expected")
    return share


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
        options.recipe,
        options.fine_tune_views,
        options.weights_uri,
        options.seed,
        options.known_share or None,
        options.source_revision,
        options.profiler,
        options.loader_threads or None,
        options.rules,
        options.stop_early,
    )
    with join_world() as world, _heard(world), _journal(options, world) as journal:
        try:
            metrics = train_model(folders, settings, StopSignal().listen(), world, journal)
        except Interrupted:
            say(f"the next run continues from the last checkpoint in {options.checkpoint_dir}, if there is one")
            raise
        if metrics is not None:
            journal.result(metrics, folders.output / OutputFile.REPORT)
            found = [finding["severity"] for finding in metrics["findings"]]
            say(FINAL_ERRORS.line(found.count(Severity.ERROR)))
            say(FINAL_WARNINGS.line(found.count(Severity.WARNING)))
            say(FINAL_VALID_LOSS.line(metrics["valid_loss"]))
            say(FINAL_VALID_ACCURACY.line(metrics["valid_accuracy"]))
            say(FINAL_TEST_ACCURACY.line(metrics["test_accuracy"]))


def _journal(options: argparse.Namespace, world: World) -> Journal:
    """Return the chief's journal; its MLflow run stands beside the checkpoints, which a resumed training has, too."""
    run_file = options.checkpoint_dir / "mlflow-run"
    return open_journal(options.output_dir, options.mlflow_uri, run_file) if world.is_chief else NO_JOURNAL


def _heard(world: World) -> AbstractContextManager[object]:
    """Return a context in which only the chief's standard output is heard: each metric is to be logged once."""
    return nullcontext() if world.is_chief else redirect_stdout(io.StringIO())


if __name__ == "__main__":
    main()
