"""Job: one trial of the tuning: fit the head on cached features and report how good it is.

    python training/hpo.py --features build/features --model-dir build/trial --lr 0.01 --batch-size 64 --epochs 8

It imports torch and nothing larger, because a tuning starts it again for every trial.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from contract.metrics import FINAL_VALID_ACCURACY, FINAL_VALID_LOSS
from contract.names import ArtifactFile, Channel
from contract.search_space import Hyperparameters, add_arguments
from training.environment import add_folder, channel_variable
from training.features import load_features
from training.files import write_text
from training.head_fitting import fit_head
from training.progress import Progress, say

HEAD_FILE = "head.pt"


def run_trial(features_dir: Path, model_dir: Path, hyperparameters: Hyperparameters, seed: int) -> float:
    """Fit the head, leave it with metrics.json in ``model_dir`` and return its validation accuracy."""
    features = load_features(features_dir)
    fit = fit_head(features, hyperparameters, seed, Progress(hyperparameters.epochs).epoch)
    metrics = {
        "backbone": features.spec.backbone,
        "classes": len(features.spec.classes),
        "hyperparameters": hyperparameters.as_dict(),
        "best_epoch": fit.best_epoch,
        "valid_accuracy": fit.valid.accuracy,
        "valid_loss": fit.valid.loss,
        "fingerprint": features.spec.fingerprint,
        "seed": seed,
    }
    model_dir.mkdir(parents=True, exist_ok=True)
    torch.save(fit.head.state_dict(), model_dir / HEAD_FILE)
    write_text(model_dir / ArtifactFile.METRICS, json.dumps(metrics, indent=1))
    say(FINAL_VALID_LOSS.line(fit.valid.loss))
    say(FINAL_VALID_ACCURACY.line(fit.valid.accuracy))
    return fit.valid.accuracy


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run the trial."""
    parser = argparse.ArgumentParser(description="One trial of the tuning: fit the head on cached features.")
    add_folder(parser, "--features", channel_variable(Channel.FEATURES), "what extract_features.py left")
    add_folder(parser, "--model-dir", "SM_MODEL_DIR", "where the head and metrics.json go")
    add_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the order of the photos (default: 0)")
    options = parser.parse_args(arguments)
    # Trials run beside each other, and one core fits a head in seconds.
    torch.set_num_threads(1)
    hyperparameters = Hyperparameters(options.lr, options.batch_size, options.epochs)
    run_trial(options.features, options.model_dir, hyperparameters, options.seed)


if __name__ == "__main__":
    main()
