"""Peak memory of every job for as many photos as the 133 breeds have: 6,680 / 835 / 836.

Command:   make bench NAME=peak            (about 25 minutes on 2 cores, most of it the extraction with 4 views)
Baseline:  2 GiB, the memory that a job is to do with; the ratio is peak over 2 GiB, for each process group's largest.
Expected:  prepare, extract, trial and train below 1.
Photos:    the dogs' own, copied until there are enough, each with a number behind its end so that no two are the same.
"""

import argparse
import os
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from benchmarks.record import report

ROOT = Path(__file__).parents[1]
DOGS = ROOT.parent / "shared" / "data" / "dogs"
PHOTOS = {"train": 6_680, "valid": 835, "test": 836}
LIMIT = 2 * 2**30


def multiply(source: Path, target: Path) -> None:
    """Leave as many photos in ``target`` as are wanted, in the source's splits and classes."""
    for split, wanted in PHOTOS.items():
        for number, photo in enumerate(islice(cycle(sorted((source / split).glob("*/*.jpg"))), wanted)):
            copy = target / split / photo.parent.name / f"{number:05}.jpg"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(photo.read_bytes() + str(number).encode())


def jobs(folder: Path, backbone: str, weights: str) -> dict[str, list[str]]:
    """Return the command of each job, in their order."""
    prepared, features = str(folder / "prepared"), str(folder / "features")
    head = ["--lr", "0.01", "--batch-size", "64", "--epochs", "5"]
    extract = ["--prepared", prepared, "--model-dir", features, "--views", "4"]
    train = ["--prepared", prepared, "--features", features, "--model-dir", str(folder / "model"), *head]
    train += ["--output-dir", str(folder / "output"), "--fine-tune-epochs", "1"]
    return {
        "prepare": ["training/prepare.py", "--source", str(folder / "photos"), "--model-dir", prepared],
        "extract": ["training/extract_features.py", *extract, "--backbone", backbone, "--weights", weights],
        "trial": ["training/hpo.py", "--features", features, "--model-dir", str(folder / "trial"), *head],
        "train": ["training/train_model.py", *train],
    }


def peak(command: list[str]) -> int:
    """Run a program and return the most memory, in bytes, that it or one of its workers held."""
    # As container/train.py starts jobs.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive"}
    started = os.posix_spawn(sys.executable, [sys.executable, *command], environment)
    _, status, usage = os.wait4(started, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * 1024


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DOGS, help="a folder of labelled photos with splits")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet")
    options = parser.parse_args()
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="pedigree-bench-") as temporary:
        folder = Path(temporary)
        multiply(options.data, folder / "photos")
        peaks = {name: peak(command) for name, command in jobs(folder, options.backbone, options.weights).items()}
    notes = [f"{name}: {used / 2**30:.2f} GiB" for name, used in peaks.items()]
    report("peak", {name: [used / LIMIT] for name, used in peaks.items()}, notes)


if __name__ == "__main__":
    main()
