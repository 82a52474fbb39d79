"""Job: one trial of the tuning: fit the head on cached features and report how good it is.

    python training/hpo.py --features build/features --model-dir build/trial --lr 0.01 --batch-size 64 --epochs 8

It imports torch and nothing larger, because a tuning starts it again for every trial.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from contract.metrics import FINAL_VALID_ACCURACY, FINAL_VALID_LOSS, Objective
from contract.names import ArtifactFile, Channel
from contract.search_space import Hyperparameters, add_arguments
from training.environment import Interrupted, StopSignal, add_folder, channel_variable
from training.features import load_features
from training.files import write_text
from training.head_fitting import fit_head, is_better
from training.history import Epoch
from training.progress import Progress, say
from training.scores import Score

HEAD_FILE = "head.pt"


class TrialProgress:
    """Reports each epoch, and with it the scores of the best epoch so far, which a trial keeps; one is the objective.

    After each epoch it also looks whether the tuner has stopped the trial.
    """

    def __init__(self, epochs: int, stop: StopSignal, objective: Objective = Objective.ACCURACY) -> None:
        self._progress = Progress(epochs)
        self._stop = stop
        self._objective = objective
        self._best = Score(math.nan, 0.0)

    def epoch(self, row: Epoch) -> None:
        """Print the epoch's metrics and the best epoch's scores.

        Raises:
            Interrupted: SIGTERM has arrived.
        """
        self._progress.epoch(row)
        score = Score(row.valid_loss, row.valid_accuracy)
        if is_better(score, self._best, self._objective):
            self._best = score
        if math.isfinite(self._best.loss):
            say(FINAL_VALID_LOSS.line(self._best.loss))
        say(FINAL_VALID_ACCURACY.line(self._best.accuracy))
        self._stop.check()


@dataclass(frozen=True)
class Trial:
    """One point of the search space, and how it is tried."""

    hyperparameters: Hyperparameters
    seed: int = 0
    objective: Objective = Objective.ACCURACY


def run_trial(features_dir: Path, model_dir: Path, trial: Trial, stop: StopSignal) -> float:
    """Fit the head, leave it with metrics.json in ``model_dir`` and return its validation accuracy.

    Raises:
        Interrupted: the tuner stopped the trial, which leaves nothing.
    """
    features = load_features(features_dir)
    point, seed = trial.hyperparameters, trial.seed
    report = TrialProgress(point.epochs, stop, trial.objective).epoch
    fit = fit_head(features, point, seed, report, objective=trial.objective)
    metrics = {
        "backbone": features.spec.backbone,
        "classes": len(features.spec.classes),
        "hyperparameters": point.as_dict(),
        "best_epoch": fit.best_epoch,
        "valid_accuracy": fit.valid.accuracy,
        "valid_loss": fit.valid.loss,
        "fingerprint": features.spec.fingerprint,
        "seed": seed,
    }
    model_dir.mkdir(parents=True, exist_ok=True)
    torch.save(fit.head.state_dict(), model_dir / HEAD_FILE)
    write_text(model_dir / ArtifactFile.METRICS, json.dumps(metrics, indent=1))
    return fit.valid.accuracy


def add_objective(parser: argparse.ArgumentParser) -> None:
    """Add the option by which trials are compared."""
    parser.add_argument(
        "--objective",
        choices=[str(objective) for objective in Objective],
        default=str(Objective.ACCURACY),
        help="of the validation set; by it the best epoch is kept (default: accuracy, ties by the loss)",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run the trial."""
    parser = argparse.ArgumentParser(description="One trial of the tuning: fit the head on cached features.")
    add_folder(parser, "--features", channel_variable(Channel.FEATURES), "what extract_features.py left")
    add_folder(parser, "--model-dir", "SM_MODEL_DIR", "where the head and metrics.json go")
    add_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the order of the photos (default: 0)")
    add_objective(parser)
    options = parser.parse_args(arguments)
    # Trials run beside each other, and one core fits a head in seconds.
    torch.set_num_threads(1)
    point = Hyperparameters(options.lr, options.batch_size, options.epochs)
    trial = Trial(point, options.seed, Objective(options.objective))
    try:
        run_trial(options.features, options.model_dir, trial, StopSignal().listen())
    except Interrupted:
        # What the tuner asked for is no failure: the objective has been reported.
        say("stopped early")


if __name__ == "__main__":
    main()
