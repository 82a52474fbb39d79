"""Memory of listing and extraction: the peak with 100,000 photos over the peak with 1,000, as shards and as files.

Command:   make bench NAME=memory                      (three pairs of each kind, about 15 minutes on 2 cores)
           python -m benchmarks.bench_memory --pairs 1 --photos 20000
Baseline:  the same job on 1,000 photos, in a process of its own, in the same run, interleaved.
           Photos of 32 pixels and a backbone of one convolution: what is left is what the program keeps per photo.
Expected:  shards and files below 1.15, which is less than 100 MB for 99,000 photos more.
Prints, besides: the peaks, in MB, and what each photo more costs, in bytes.
"""

import argparse
import io
import itertools
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from unittest import mock

import torch
from PIL import Image
from torch import nn

from benchmarks.record import report
from training import extract_features
from training.environment import StopSignal, keep_freed_memory
from training.extraction import Request
from training.manifest import Manifest
from training.photo_list import LabelledPhoto
from training.shards import write_shards
from vision.backbones import Backbone, LoadedBackbone
from vision.preprocessing import Preprocessing

FEW: Final = 1_000
MANY: Final = 100_000
SIDE: Final = 32
PER_SHARD: Final = 1_000
FOLDERS: Final = tuple(f"{number:03d}.Class_{number}" for number in range(1, 11))
# Of every ten photos eight are for training; validation and test get one each.
SPLITS: Final = {"train": 8, "valid": 1, "test": 1}
DIFFERENT: Final = 50  # a file system takes some tens of thousands of names for one file
KINDS: Final = ("shards", "files")


def main() -> None:
    """Make photos, extract in processes of their own, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--photos", type=int, default=MANY)
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)  # one extraction, whose peak memory is printed
    options = parser.parse_args()
    if options.part is not None:
        extract(options.part)
        return
    ratios: dict[str, list[float]] = {}
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            made = [make(Path(folder) / f"{kind}-{count}", kind, count) for count in (FEW, options.photos)]
            pairs = [(peak(made[0]), peak(made[1])) for _ in range(options.pairs)]
            ratios[kind] = [many / few for few, many in pairs]
            more = sorted(many - few for few, many in pairs)[len(pairs) // 2]
            told = ", ".join(f"{few / 1e6:.0f} and {many / 1e6:.0f}" for few, many in pairs)
            each = more / (options.photos - FEW)
            notes.append(f"{kind}: peaks {told} MB for {FEW:,} and {options.photos:,} photos: {each:,.0f} bytes each")
    report("memory", ratios, notes)


def make(folder: Path, kind: str, count: int) -> Path:
    """Leave a prepared data set of ``count`` photos in ``folder``, drawn once and copied or linked."""
    drawn = [_photo(number) for number in range(DIFFERENT)]
    for split, tenths in SPLITS.items():
        photos = _photos(folder / split, count * tenths // 10)
        (folder / split).mkdir(parents=True)
        if kind == "shards" and split != "test":
            write_shards(folder / split, FOLDERS, zip(photos, itertools.cycle(drawn)), PER_SHARD)
        else:
            _link(folder / split, photos, drawn)
    each = {split: count * tenths // 10 // len(FOLDERS) for split, tenths in SPLITS.items()}
    Manifest("drawn", 0, "as drawn", "f" * 64, dict.fromkeys(FOLDERS, each), (), (), 0).save(folder)
    return folder


def _photos(split: Path, count: int) -> Iterator[LabelledPhoto]:
    """Yield as many photos of every class, class by class, under names of a usual length."""
    each = count // len(FOLDERS)
    for label, folder in enumerate(FOLDERS):
        yield from (LabelledPhoto(split / folder / f"{folder}_{number:06d}.jpg", label) for number in range(each))


def _photo(number: int) -> bytes:
    ramp = Image.linear_gradient("L").resize((SIDE, SIDE)).rotate(number * 7)
    buffer = io.BytesIO()
    Image.merge("RGB", (ramp, ramp.point(lambda value: value // 2), ramp)).save(buffer, "JPEG")
    return buffer.getvalue()


def _link(split: Path, photos: Iterator[LabelledPhoto], drawn: list[bytes]) -> None:
    """Give a few files many names."""
    for folder in FOLDERS:
        (split / folder).mkdir()
        for number, data in enumerate(drawn):
            (split / folder / f".{number}").write_bytes(data)  # hidden: no photo by its name
    for photo, number in zip(photos, itertools.cycle(range(len(drawn)))):
        os.link(photo.path.with_name(f".{number}"), photo.path)


def peak(prepared: Path) -> int:
    """Return the peak memory, in bytes, of extracting features from ``prepared`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_memory", "--part", str(prepared)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.splitlines()[-1])


def extract(prepared: Path) -> None:
    """Run the job as it is, but for its backbone, and print this process's peak memory."""
    network = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    look = Preprocessing(SIDE, SIDE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")
    backbone = Backbone("tiny", network, [("all", [network])], 16, look)
    keep_freed_memory()
    torch.set_num_threads(1)
    loaded = mock.patch.object(extract_features, "load_backbone", return_value=LoadedBackbone(backbone, "random"))
    with loaded, tempfile.TemporaryDirectory() as folder:
        places = Path(folder) / "features", Path(folder) / "parts"
        extract_features.extract_features(prepared, *places, Request(views=1, compile_from=1 << 40), StopSignal())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    main()
