"""Tuning: CPU time of 8 trials x 8 epochs on cached features, against running the frozen backbone in every epoch.

Command:   make bench NAME=sweep           (906 photos, three rounds: about an hour on 2 cores; --small: minutes)
Baseline:  the way of the project that first used this data (seed_project.py): ImageFolder with Pillow, ResNet50 in
           fp32 over all training and validation photos in every epoch of every trial, the same search space. In every
           round one of its epochs is timed and multiplied by trials x epochs; one whole trial (--whole: all of them)
           is timed for real, and how far it is from the multiplied epoch is printed.
Ours:      extract_features.py with K views and then the sweep, as programs from start to end, imports included.
Expected:  k1 200 or more, k4 70 or more. k8 is the like-for-like row: as many views as the baseline sees in 8 epochs.
           The ratio grows with trials x epochs / K: it says how much work is saved, not how fast a line of code is.

Both sides read the same prepared photos; preparing them is counted for neither. Accuracy is compared on the offline
backbone (EfficientNet-Lite0): the best of 8 trials, over 3 seeds.
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.record import report
from contract.search_space import Hyperparameters, sample_hyperparameters
from training.environment import StopSignal
from training.features import load_features
from training.sweep import SweepSettings, run_sweep

ROOT = Path(__file__).parents[1]
DOGS = ROOT.parent / "shared" / "data" / "dogs"
VIEWS = (1, 4, 8)
TRIALS = EPOCHS = 8
SEEDS = (0, 1, 2)
SMALL_PHOTOS_PER_CLASS = 3
SMALL_EPOCHS = 2


@dataclass(frozen=True)
class EightEpochs(SweepSettings):
    """The sweep's own points, each for as many epochs as the baseline's."""

    def points(self) -> list[Hyperparameters]:
        """Return the points."""
        return [replace(point, epochs=EPOCHS) for point in super().points()]


@dataclass(frozen=True)
class Bench:
    """Where the photos are and where everything goes."""

    prepared: Path
    folder: Path

    def baseline(self, points: Sequence[Hyperparameters]) -> list[float]:
        """Return the CPU seconds of every epoch of the baseline's trials, without its start."""
        given = json.dumps([asdict(point) for point in points])
        done = _run(["-m", "benchmarks.bench_sweep", "--part", "baseline", str(self.prepared), given])
        seconds: list[float] = json.loads(done.splitlines()[-1])
        return seconds

    def ours(self, views: int, backbone: Sequence[str] = ("resnet50", "--weights", "none")) -> float:
        """Return the CPU seconds of extraction and sweep, from the start of the first to the end of the second."""
        features = self.folder / f"features-{backbone[0]}-{views}"
        begun = _children_seconds()
        options = ["--prepared", self.prepared, "--model-dir", features, "--backbone", *backbone, "--views", views]
        _run(["training/extract_features.py", *map(str, options)])
        _run(["-m", "benchmarks.bench_sweep", "--part", "sweep", str(features), "0"])
        return _children_seconds() - begun


def _run(arguments: list[str]) -> str:
    # As container/train.py starts jobs: waiting threads sleep. It helps the baseline as much.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout}")
    return done.stdout


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def part(name: str, folder: Path, given: str) -> None:
    """Be one of the processes that are measured."""
    if name == "sweep":
        torch.set_num_threads(1)
        run_sweep(load_features(folder), EightEpochs(TRIALS, int(given)), lambda trial: None, StopSignal())
        return
    from benchmarks.seed_project import run_trial

    points = [Hyperparameters(**point) for point in json.loads(given)]
    print(json.dumps([epoch.cpu_seconds for point in points for epoch in run_trial(folder, point, seed=0)]))


def accuracies(bench: Bench) -> list[str]:
    """Return what to say about the best trials' validation accuracies on the offline backbone."""
    from benchmarks.seed_project import fit_on_views

    offline = ("efficientnet_lite0",)
    for views in (1, EPOCHS):
        bench.ours(views, offline)
    one, many = (load_features(bench.folder / f"features-{offline[0]}-{views}") for views in (1, EPOCHS))
    valid = one.valid.features[:, 0].float(), one.valid.labels
    ours, theirs = [], []
    for seed in SEEDS:
        results = run_sweep(one, EightEpochs(TRIALS, seed), lambda trial: None, StopSignal())
        ours.append(max(trial.objective or 0.0 for trial in results))
        rng = random.Random(seed)
        torch.manual_seed(seed)
        points = [replace(sample_hyperparameters(rng), epochs=EPOCHS) for _ in range(TRIALS)]
        theirs.append(max(fit_on_views(many.train.features, many.train.labels, valid, point) for point in points))
    spread = max(theirs) - min(theirs)
    below = statistics.mean(theirs) - statistics.mean(ours)
    verdict = "within" if below <= spread else "NOT within"
    return [
        f"best trial's validation accuracy, {offline[0]}, seeds {', '.join(map(str, SEEDS))}: "
        f"ours {_percents(ours)}, baseline {_percents(theirs)}",
        f"ours is {100 * below:.2f} points below the baseline's mean: {verdict} the baseline's spread of "
        f"{100 * spread:.2f} points ({len(one.valid.labels)} validation photos)",
    ]


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.1%}" for share in shares)


def prepare(data: Path, folder: Path, small: bool) -> Path:
    """Return the prepared photos; a few of each class where a quick try is wanted."""
    source = data
    if small:
        source = folder / "few"
        for photo in sorted(data.rglob("*.jpg")):
            copy = source / photo.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if len(list(copy.parent.iterdir())) < SMALL_PHOTOS_PER_CLASS:
                shutil.copyfile(photo, copy)
    _run(["training/prepare.py", "--source", str(source), "--model-dir", str(folder / "prepared")])
    return folder / "prepared"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DOGS, help="a folder of labelled photos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a few photos and one round: whether it works at all")
    parser.add_argument("--whole", action="store_true", help="time all 64 epochs of the baseline, not one trial's 8")
    parser.add_argument("--part", nargs=3, metavar=("NAME", "FOLDER", "GIVEN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part(options.part[0], Path(options.part[1]), options.part[2])
        return
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary:
        bench = Bench(prepare(options.data, Path(temporary), options.small), Path(temporary))
        real = EightEpochs(TRIALS).points()[: TRIALS if options.whole else 1]
        if options.small:
            real = [replace(real[0], epochs=SMALL_EPOCHS)]
        ratios, notes = measure(bench, 1 if options.small else options.rounds, real)
        notes += accuracies(bench)
    report("sweep", ratios, notes)


def measure(
    bench: Bench, rounds: int, timed_for_real: Sequence[Hyperparameters]
) -> tuple[dict[str, list[float]], list[str]]:
    """Return the ratios and what to say about them; baseline and ours take turns."""
    ratios: dict[str, list[float]] = {f"k{views}": [] for views in VIEWS}
    epochs: list[float] = []
    seconds: dict[int, list[float]] = {views: [] for views in VIEWS}
    for _ in range(rounds):
        epochs += bench.baseline([Hyperparameters(0.01, 64, 1)])
        for views in VIEWS:
            seconds[views].append(bench.ours(views))
            ratios[f"k{views}"].append(TRIALS * EPOCHS * epochs[-1] / seconds[views][-1])
    real = bench.baseline(timed_for_real)
    share = sum(real) / (len(real) * statistics.median(epochs))
    ours = ", ".join(f"K={views} {statistics.median(taken):.1f} s" for views, taken in seconds.items())
    return ratios, [
        f"CPU seconds, median: baseline {statistics.median(epochs):.1f} s per epoch; ours for everything {ours}",
        f"{len(real)} epochs of the baseline timed for real: {sum(real):.0f} s, {share:.3f} of the multiplied epoch",
        f"The ratio grows with trials x epochs / K: here {TRIALS} x {EPOCHS}; k8 is like for like.",
    ]


if __name__ == "__main__":
    main()
