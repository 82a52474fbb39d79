"""How well "confident": false tells photos of other things from photos of the ten dog breeds that a model knows.

Command:   make bench NAME=unknown         (three seeds with fine-tuning, about 10 minutes on 2 cores)
Baseline:  the highest logit in place of the highest probability, at the same share of validation photos kept.
Expected:  of the strangers, about 74 % of drawn dogs, 92 % of scenes and 86 % of textures are flagged (two seeds, give
           or take 6 %); 95 % of the test photos, give or take 3 of 90, are not. The area under the ROC curve (1: every
           stranger has a lower highest probability than every test photo; 0.5: chance) is 0.96 or more.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.record import report
from benchmarks.strangers import PHOTOS, STRANGERS
from training.calibration import confident_from
from training.evaluation import evaluate
from training.photo_set import PhotoReader, open_photo_set
from vision.classifier import LoadedModel, load_artifact

ROOT = Path(__file__).parents[1]
DOGS = ROOT.parent / "shared" / "data" / "dogs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="of each kind of stranger")
    parser.add_argument("--fine-tune-epochs", type=int, default=8)
    options = parser.parse_args()
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)
        for seed in range(options.seeds):
            artifact = train(folder, seed, options.fine_tune_epochs)
            for name, value in measure(artifact, folder, options.photos).items():
                found[name].append(value)
    report("unknown", found, [f"{options.photos} strangers of each kind; shares and areas, no ratios of times"])


def prepare(folder: Path) -> None:
    """Leave the prepared dogs and their features in ``folder``: the same for every seed of the training."""
    prepared = str(folder / "prepared")
    job("prepare", "--source", str(DOGS), "--model-dir", prepared)
    where = ["--model-dir", str(folder / "features")]
    job("extract_features", "--prepared", prepared, "--backbone", "efficientnet_lite0", *where)


def train(folder: Path, seed: int, fine_tune_epochs: int) -> Path:
    """Train on what ``prepare`` left in ``folder`` and return the artifact."""
    artifact = folder / f"model-{seed}"
    inputs = ["--prepared", str(folder / "prepared"), "--features", str(folder / "features")]
    where = ["--model-dir", str(artifact), "--output-dir", str(folder / f"output-{seed}")]
    job("train_model", *inputs, *where, "--seed", str(seed), "--fine-tune-epochs", str(fine_tune_epochs))
    return artifact


def job(program: str, *arguments: str) -> None:
    """Run one of the pipeline's programs, with threads that wait as the launcher lets them wait."""
    command = [sys.executable, "-W", "ignore", "-m", f"training.{program}", *arguments]
    waiting = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    subprocess.run(command, check=True, cwd=ROOT, env=waiting, stdout=subprocess.DEVNULL)


def measure(artifact: Path, folder: Path, photos: int) -> dict[str, float]:
    """Return the share of photos that are flagged and the areas under the ROC curve, by kind of photo."""
    prepared = folder / "prepared"
    model, photo_set, reader = load_artifact(artifact), open_photo_set(prepared), PhotoReader(prepared)
    valid, test = (evaluate(model, photo_set.splits[split], reader) for split in ("valid", "test"))
    threshold = model.calibration.confident_from
    assert threshold is not None
    logit_threshold = confident_from(valid.logits.amax(dim=1), 0.95)
    known = test.probabilities.amax(dim=1)  # (N,)
    found = {"flagged_known": float((known < threshold).float().mean()), "test_accuracy": test.score.accuracy}
    for kind, draw in STRANGERS.items():
        logits = logits_of(model, [draw(number) for number in range(photos)])  # (photos, classes)
        best = model.calibration.probabilities(logits).amax(dim=1)
        found[f"flagged_{kind}"] = float((best < threshold).float().mean())
        found[f"auroc_{kind}"] = area(known, best)
        found[f"logit_flagged_{kind}"] = float((logits.amax(dim=1) < logit_threshold).float().mean())
        found[f"logit_auroc_{kind}"] = area(test.logits.amax(dim=1), logits.amax(dim=1))
    return found


def logits_of(model: LoadedModel, pictures: list[Image.Image]) -> Tensor:
    """Return what the network says: (pictures, classes)."""
    with torch.inference_mode():
        return torch.cat([model.classifier(model.preprocessing.apply(each).unsqueeze(0)) for each in pictures])


def area(known: Tensor, strangers: Tensor) -> float:
    """Return how often one of ``known`` (N,) scores above one of ``strangers`` (M,); ties count half."""
    pairs = known.unsqueeze(1) - strangers.unsqueeze(0)  # (N, M)
    return float((pairs.sign() + 1).mean() / 2)


if __name__ == "__main__":
    main()
