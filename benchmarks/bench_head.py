"""Fitting a head: CPU time of one trial on 6,680 x 2,048 features, 133 classes, 10 epochs.

Command:   make bench NAME=head            (five pairs, about 2 minutes on 2 cores)
Baseline:  the same trial by DataLoader over a TensorDataset, autograd and torch.optim.Adam, in the same process.
           Beside it torch's fused Adam in the place of our optimizer: same batches without a DataLoader, autograd.
Expected:  under 2.5 s of CPU time at batch 16, under 1.2 s at batch 256, on one core with AVX2 that has nothing else
           to do; the ratios (baseline over ours) 3 or more against the DataLoader, about 1.2 against fused Adam.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.record import report
from contract.search_space import Hyperparameters
from training.features import Features, FeatureSpec, SplitFeatures
from training.head_fitting import fit_head
from vision.heads import Head

PHOTOS, VALID, DIM, CLASSES, EPOCHS = 6_680, 835, 2_048, 133, 10
BATCHES = (16, 256)
LR = 0.001
CRITERION = nn.CrossEntropyLoss()


def drawn_features(photos: int) -> Features:
    """Return features drawn around one point per class."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, DIM, generator=generator)

    def split(count: int) -> SplitFeatures:
        labels = torch.arange(count) % CLASSES
        noise = 4 * torch.randn(count, DIM, generator=generator)
        return SplitFeatures((centres[labels] + noise).unsqueeze(1).half(), labels)

    classes = tuple(f"{number:03d}.Breed" for number in range(CLASSES))
    spec = FeatureSpec(
        classes=classes,
        fingerprint="0" * 64,
        backbone="resnet50",
        weights="none",
        weights_origin="drawn",
        weights_digest="0" * 16,
        seed=0,
        feature_dim=DIM,
        views=1,
        preprocessing={},
        counts={"train": photos, "valid": VALID},
        left_out=(),
        notice=None,
    )
    return Features(spec, split(photos), split(VALID))


def ours(features: Features, batch_size: int) -> None:
    """Fit the head as every trial does."""
    fit_head(features, Hyperparameters(LR, batch_size, EPOCHS), seed=0)


def data_loader(features: Features, batch_size: int) -> None:
    """Fit the head as tutorials do."""
    rows = features.train.features[:, 0].float()  # (N, D)
    head = _head(features)
    loader = DataLoader(TensorDataset(rows, features.train.labels), batch_size, shuffle=True)
    optimizer = torch.optim.Adam(head.parameters(), lr=LR)
    for _ in range(EPOCHS):
        for batch, labels in loader:
            _step(head, optimizer, batch, labels)
        _validate(head, features)


def fused_adam(features: Features, batch_size: int) -> None:
    """Fit the head by torch's fused Adam, batches gathered by one permutation per epoch."""
    rows = features.train.features[:, 0].float()  # (N, D)
    head = _head(features)
    optimizer = torch.optim.Adam(head.parameters(), lr=LR, fused=True)
    for _ in range(EPOCHS):
        order = torch.randperm(len(rows))
        mixed, labels = rows[order], features.train.labels[order]
        for batch, batch_labels in zip(torch.split(mixed, batch_size), torch.split(labels, batch_size), strict=True):
            _step(head, optimizer, batch, batch_labels)
        _validate(head, features)


def _head(features: Features) -> Head:
    head = Head(DIM, CLASSES)
    head.standardise_on(features.train.features[:, 0].float())
    return head


def _step(head: Head, optimizer: torch.optim.Optimizer, batch: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer.zero_grad()
    CRITERION(head(batch), labels).backward()
    optimizer.step()


@torch.no_grad()
def _validate(head: Head, features: Features) -> None:
    CRITERION(head(features.valid.features[:, 0].float()), features.valid.labels)


def cpu_seconds(fit: Callable[[Features, int], None], features: Features, batch_size: int) -> float:
    """Return the CPU seconds of one fit."""
    begun = time.process_time()
    fit(features, batch_size)
    return time.process_time() - begun


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a tenth of the photos and two pairs")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as a trial
    features = drawn_features(PHOTOS // 10 if options.small else PHOTOS)
    fits = {"ours": ours, "data_loader": data_loader, "fused_adam": fused_adam}
    for fit in fits.values():
        cpu_seconds(fit, drawn_features(PHOTOS // 20), BATCHES[-1])  # what is imported and allocated once
    ratios: dict[str, list[float]] = {}
    notes = []
    for batch_size in BATCHES:
        taken: dict[str, list[float]] = {name: [] for name in fits}
        for _ in range(2 if options.small else options.pairs):
            for name, fit in fits.items():
                taken[name].append(cpu_seconds(fit, features, batch_size))
        for name in ("data_loader", "fused_adam"):
            ratios[f"{name}_b{batch_size}"] = [
                other / own for other, own in zip(taken[name], taken["ours"], strict=True)
            ]
        medians = ", ".join(f"{name} {statistics.median(seconds):.2f} s" for name, seconds in taken.items())
        notes.append(f"CPU seconds at batch {batch_size}, median (lowest of ours {min(taken['ours']):.2f}): {medians}")
    report("head", ratios, notes)


if __name__ == "__main__":
    main()
