"""Job: the whole tuning in one process: the trials of hpo.py, one after the other, on features that are read once.

    python training/sweep.py --features build/features --model-dir build/tuning --trials 8

The same hyperparameters and seed give the same numbers as hpo.py, digit by digit: both call the same function with one
thread. Several heads in one batched matrix were measured, too: 10 % faster at best, and not the same digits.
"""

import argparse
import json
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from contract.metrics import Objective
from contract.names import TUNING_FILE, Channel
from contract.search_space import (
    Hyperparameters,
    Sampler,
    Stopping,
    sample_hyperparameters,
    spread_hyperparameters,
)
from contract.trials import COMPLETED, STOPPED, TrialResult, best_trial
from training.early_stopping import Rule, rule
from training.environment import StopSignal, add_folder, channel_variable
from training.features import Features, load_features
from training.files import write_text
from training.head_fitting import fit_head, is_better
from training.history import Epoch
from training.hpo import add_objective
from training.progress import say
from training.scores import Score


class SweepError(Exception):
    """A sweep without a result."""


@dataclass(frozen=True)
class SweepSettings:
    """What is tried, and how the trials are compared."""

    trials: int
    seed: int = 0
    objective: Objective = Objective.ACCURACY
    sampler: Sampler = Sampler.SPREAD
    stopping: Stopping = Stopping.NONE

    def points(self) -> list[Hyperparameters]:
        """Return the points of the search space; the same settings give the same points."""
        if self.sampler is Sampler.SPREAD:
            return spread_hyperparameters(self.trials, self.seed)
        rng = random.Random(self.seed)
        return [sample_hyperparameters(rng) for _ in range(self.trials)]


class _EarlyEndError(Exception):
    """The rule ended a trial."""


class _Trial:
    """Follows one trial: keeps the score of its best epoch and asks the rule and the stop signal after each epoch."""

    def __init__(self, epochs: int, objective: Objective, rule: Rule, stop: StopSignal) -> None:
        self._epochs, self._objective, self._rule, self._stop = epochs, objective, rule, stop
        self._values: list[float] = []
        self.best = Score(math.nan, 0.0)

    def epoch(self, row: Epoch) -> None:
        self._stop.check()
        score = Score(row.valid_loss, row.valid_accuracy)
        if is_better(score, self.best, self._objective):
            self.best = score
        self._values.append(self._value())
        # The rule hears of the last epoch, too, but that is no early end.
        if self._rule.loses(self._values) and len(self._values) < self._epochs:
            raise _EarlyEndError

    def end(self, name: str, status: str, point: Hyperparameters) -> TrialResult:
        self._rule.end(self._values)
        score = self.best if math.isfinite(self.best.loss) else None
        return TrialResult(
            name, status, score.accuracy if score else None, score.loss if score else None, point.as_strings()
        )

    def _value(self) -> float:
        if not math.isfinite(self.best.loss):
            return -math.inf
        return self.best.accuracy if self._objective is Objective.ACCURACY else -self.best.loss


def run_sweep(
    features: Features, settings: SweepSettings, on_trial: Callable[[TrialResult], None], stop: StopSignal
) -> list[TrialResult]:
    """Run the trials and return what became of each; ``on_trial`` hears of each as it ends.

    Raises:
        Interrupted: SIGTERM has arrived.
    """
    judge, results = rule(settings.stopping), []
    for number, point in enumerate(settings.points(), 1):
        trial, status = _Trial(point.epochs, settings.objective, judge, stop), COMPLETED
        try:
            fit_head(features, point, settings.seed, trial.epoch, objective=settings.objective)
        except _EarlyEndError:
            status = STOPPED
        results.append(trial.end(f"trial-{number:03d}", status, point))
        on_trial(results[-1])
    return results


def sweep(features_dir: Path, model_dir: Path, settings: SweepSettings, stop: StopSignal) -> TrialResult:
    """Run the sweep on ``features_dir``, leave tuning.json in ``model_dir`` and return the best trial.

    Raises:
        SweepError: no trial came to a finite loss.
        Interrupted: SIGTERM has arrived.
    """
    features = load_features(features_dir)
    results = run_sweep(features, settings, lambda trial: say(trial.line(settings.trials)), stop)
    best = best_trial(results, settings.objective)
    if best is None:
        raise SweepError(f"none of {len(results)} trials came to a finite loss: look at the features in {features_dir}")
    tuning = {
        "tuning_job_name": os.environ.get("TRAINING_JOB_NAME", "sweep"),
        "hyperparameters": best.hyperparameters,
        "trials": [trial.as_dict() for trial in results],
        "objective": settings.objective,
        "seed": settings.seed,
        "fingerprint": features.spec.fingerprint,
        "backbone": features.spec.backbone,
    }
    write_text(model_dir / TUNING_FILE, json.dumps(tuning, indent=1))
    say(f"best of {len(results)}: {best.name}, validation accuracy {best.objective:.1%}, loss {best.loss:.3f}")
    return best


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run the sweep."""
    parser = argparse.ArgumentParser(description="The whole tuning in one process, on cached features.")
    add_folder(parser, "--features", channel_variable(Channel.FEATURES), "what extract_features.py left")
    add_folder(parser, "--model-dir", "SM_MODEL_DIR", f"where {TUNING_FILE} goes")
    parser.add_argument("--trials", type=int, default=10, help="how many points are tried (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of points and order of the photos (default: 0)")
    add_objective(parser)
    _add_choice(parser, "--sampler", Sampler.SPREAD, "how points are chosen")
    _add_choice(parser, "--stopping", Stopping.NONE, "when a trial is ended early")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # as in hpo.py, whose numbers these must be
    settings = SweepSettings(
        options.trials,
        options.seed,
        Objective(options.objective),
        Sampler(options.sampler),
        Stopping(options.stopping),
    )
    sweep(options.features, options.model_dir, settings, StopSignal().listen())


def _add_choice(parser: argparse.ArgumentParser, option: str, default: StrEnum, help_text: str) -> None:
    choices = [str(value) for value in type(default)]
    parser.add_argument(option, choices=choices, default=str(default), help=f"{help_text} (default: {default})")


if __name__ == "__main__":
    main()
