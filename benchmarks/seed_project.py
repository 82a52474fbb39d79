"""The baseline of bench_sweep: a trial as the project does it that first used this data set, written fairly.

ImageFolder with Pillow, the frozen ResNet50 in fp32 run again over every photo in every epoch, a linear layer trained
by Adam. No gradients are computed for the backbone, the validation score is a true mean, and nothing is done that the
method does not need. The weights are random, which takes the same time.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet50

from contract.search_space import Hyperparameters

_CRITERION = nn.CrossEntropyLoss()
_NORMALIZE = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_TRAIN = transforms.Compose(
    [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor(), _NORMALIZE]
)
_VALID = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), _NORMALIZE])


@dataclass(frozen=True)
class EpochTime:
    """What one epoch took: CPU seconds of all threads, and its validation accuracy."""

    cpu_seconds: float
    valid_accuracy: float


def cpu_seconds() -> float:
    """Return the CPU seconds of this process so far."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_trial(prepared: Path, point: Hyperparameters, seed: int) -> list[EpochTime]:
    """Train one trial on ``prepared``/{train,valid} and return what each epoch took."""
    torch.manual_seed(seed)
    train = ImageFolder(str(prepared / "train"), _TRAIN)
    valid = ImageFolder(str(prepared / "valid"), _VALID)
    model = resnet50(weights=None).requires_grad_(False)
    model.fc = nn.Linear(model.fc.in_features, len(train.classes))
    model.eval()  # the batch norms of a frozen backbone stay as they are
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=point.lr)
    shuffled: DataLoader[Any] = DataLoader(train, point.batch_size, shuffle=True)
    in_order: DataLoader[Any] = DataLoader(valid, 64)
    epochs = []
    for _ in range(point.epochs):
        begun = cpu_seconds()
        for photos, labels in shuffled:  # (B, 3, 224, 224), (B,)
            optimizer.zero_grad()
            _CRITERION(model(photos), labels).backward()
            optimizer.step()
        accuracy = _accuracy(model, in_order)
        epochs.append(EpochTime(cpu_seconds() - begun, accuracy))
    return epochs


@torch.no_grad()
def _accuracy(model: nn.Module, photos: "DataLoader[Any]") -> float:
    right = total = 0
    for batch, labels in photos:
        right += int((model(batch).argmax(dim=1) == labels).sum())
        total += len(labels)
    return right / total


def fit_on_views(views: Tensor, labels: Tensor, valid: tuple[Tensor, Tensor], point: Hyperparameters) -> float:
    """Return the last epoch's validation accuracy of the same trial on cached features, a view of its own per epoch.

    Running a frozen backbone again gives nothing else, so for comparing accuracies this is the same trial, sooner.

    Args:
        views: features (N, K, D), one view per epoch.
        labels: (N,).
        valid: features (M, D) and labels (M,).
        point: the trial.
    """
    layer = nn.Linear(views.shape[2], int(labels.max()) + 1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=point.lr)
    for epoch in range(point.epochs):
        for chosen in torch.split(torch.randperm(len(labels)), point.batch_size):
            optimizer.zero_grad()
            rows = views[chosen, epoch % views.shape[1]].float()  # (B, D)
            _CRITERION(layer(rows), labels[chosen]).backward()
            optimizer.step()
    with torch.no_grad():
        return float((layer(valid[0]).argmax(dim=1) == valid[1]).float().mean())
