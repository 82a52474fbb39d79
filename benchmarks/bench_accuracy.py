"""Accuracy on the test photos: fitted head, fine-tuned model, and scikit-learn on the features that the head gets.

Command:   make bench NAME=accuracy        (three seeds on ../shared/data/dogs, about 15 minutes on 2 cores)
           python -m benchmarks.bench_accuracy --backbone resnet50 --weights-uri FOLDER     (fills ResNet50's row)
Baseline:  LogisticRegression(C=1) on standardised features of the frozen backbone, the same ones that the head gets.
Ours:      training/train_model.py as the pipeline starts it, with the search space's default hyperparameters, once
           without and once with fine-tuning, tested as serving answers. Three seeds of the training on one split.
Expected:  fine-tuned not below the fitted head and not below scikit-learn (97.8 % on the 90 test photos); n = 3 seeds.
           The table goes to docs/results.md, between the backbone's markers; --recipe tries options of train_model.py
           and leaves that page alone, as do fewer seeds.
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from benchmarks.record import report
from training.evaluation import evaluate
from training.features import load_features
from training.photo_batches import photo_batches
from training.photo_set import PhotoReader, PhotoSet, open_photo_set
from vision.backbones import BACKBONES, load_backbone
from vision.classifier import load_artifact
from vision.pixels import Picture

ROOT = Path(__file__).parents[1]
DOGS = ROOT.parent / "shared" / "data" / "dogs"
RESULTS = ROOT / "docs" / "results.md"
SEEDS = 3
NAMES = {"efficientnet_lite0": "EfficientNet-Lite0", "resnet50": "ResNet50"}


@dataclass(frozen=True)
class Answers:
    """How many test photos of each class were named right: right[class] of total[class]."""

    right: tuple[int, ...]
    total: tuple[int, ...]

    @property
    def accuracy(self) -> float:
        """The share of all photos."""
        return sum(self.right) / sum(self.total)


@dataclass(frozen=True)
class Bench:
    """One data set, its features by one backbone, and a folder for what is trained."""

    photos: PhotoSet
    folder: Path
    backbone: str
    weights_uri: str | None

    def train(self, seed: int, options: Sequence[str]) -> Answers:
        """Run the final training and test its artifact."""
        place = self.folder / f"seed-{seed}-{'-'.join(options).strip('-')}"[:200]
        where = ["--model-dir", str(place / "model"), "--output-dir", str(place / "output")]
        weights = ["--weights-uri", self.weights_uri] if self.weights_uri else []
        inputs = ["--prepared", str(self.photos.directory), "--features", str(self.folder / "features")]
        job("train_model.py", *inputs, *where, *weights, "--seed", str(seed), *options)
        tested = evaluate(
            load_artifact(place / "model"), self.photos.splits["test"], PhotoReader(self.photos.directory)
        )
        rows = tested.confusion
        return Answers(tuple(row[label] for label, row in enumerate(rows)), tuple(map(sum, rows)))

    def regress(self) -> Answers:
        """Fit scikit-learn's logistic regression on the training features and test it."""
        train = load_features(self.folder / "features").train
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
        model.fit(train.features[:, 0].float().numpy(), train.labels.numpy())
        features, labels = self._test_features()
        right = torch.from_numpy(model.predict(features.numpy())) == labels
        classes = range(len(self.photos.classes))
        return Answers(
            tuple(int(right[labels == label].sum()) for label in classes),
            tuple(int((labels == label).sum()) for label in classes),
        )

    def _test_features(self) -> tuple[Tensor, Tensor]:
        """Return features (N, D) and labels (N,) of the test photos; the pipeline never makes these."""
        backbone = load_backbone(self.backbone, self.weights_uri).backbone

        def transform(number: int, photo: Picture) -> Tensor:
            return backbone.preprocessing.apply(photo).unsqueeze(0)

        features, labels = [], []
        for batch in photo_batches(self.photos.splits["test"], PhotoReader(self.photos.directory), transform, 16):
            with torch.inference_mode():
                features.append(backbone(batch.views[:, 0]).half().float())  # (N, D), rounded as the cached ones are
            labels.append(batch.labels)
        return torch.cat(features), torch.cat(labels)


def job(script: str, *options: str) -> None:
    """Run one of the pipeline's programs, with threads that wait as the launcher lets them wait."""
    command = [sys.executable, f"training/{script}", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-2000:]}")


def table(labels: Sequence[str], rows: dict[str, list[Answers]], backbone: str) -> str:
    """Return the accuracies as Markdown: a line per method, then a line per class, means over the seeds."""
    head = "| backbone | method | test accuracy, mean | lowest to highest | seeds |\n|---|---|---|---|---|"
    lines = [
        f"| {NAMES[backbone]} | {name} | {statistics.mean(each.accuracy for each in found):.1%} | "
        f"{min(each.accuracy for each in found):.1%} to {max(each.accuracy for each in found):.1%} | {len(found)} |"
        for name, found in rows.items()
    ]
    classes = [f"| class | test photos | {' | '.join(rows)} |", f"|---|---|{'---|' * len(rows)}"]
    for index, label in enumerate(labels):
        shares = [
            f"{statistics.mean(each.right[index] / max(each.total[index], 1) for each in found):.1%}"
            for found in rows.values()
        ]
        total = next(iter(rows.values()))[0].total[index]
        classes.append(f"| {label} | {total} | {' | '.join(shares)} |")
    return "\n".join([head, *lines, "", *classes])


def write_between_markers(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(start)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise SystemExit(f"{page} has no markers {start} and {end}")
    page.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Train with every seed, compare, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DOGS, help="a folder of labelled photos")
    parser.add_argument("--backbone", choices=BACKBONES, default="efficientnet_lite0")
    parser.add_argument("--weights-uri", help="folder with resnet50.pth")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="with fewer, docs/results.md is left alone")
    parser.add_argument("--recipe", default="", help='options of train_model.py, for example "--label-smoothing 0.1"')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        job("prepare.py", "--source", str(options.data), "--model-dir", str(folder / "prepared"))
        weights = ["--weights-uri", options.weights_uri] if options.weights_uri else []
        inputs = ["--prepared", str(folder / "prepared"), "--model-dir", str(folder / "features")]
        job("extract_features.py", *inputs, "--backbone", options.backbone, *weights)
        bench = Bench(open_photo_set(folder / "prepared"), folder, options.backbone, options.weights_uri)
        seeds = range(options.seeds)
        rows = {
            "scikit-learn's logistic regression": [bench.regress()],
            "fitted head (linear probe)": [bench.train(seed, ["--fine-tune-epochs", "0"]) for seed in seeds],
            "fine-tuned": [bench.train(seed, shlex.split(options.recipe)) for seed in seeds],
        }
    regressed, probed, tuned = rows.values()
    pairs = list(zip(probed, tuned, strict=True))
    text = table(bench.photos.classes.labels, rows, options.backbone)
    if not options.recipe and options.seeds >= SEEDS:
        write_between_markers(RESULTS, f"accuracy {options.backbone}", text)
    report(
        "accuracy",
        {
            "fine_tuned_over_probe": [tuned.accuracy / probe.accuracy for probe, tuned in pairs],
            "fine_tuned_over_sklearn": [each.accuracy / regressed[0].accuracy for each in tuned],
        },
        text.splitlines(),
    )


if __name__ == "__main__":
    main()
