"""Fits the head on cached features: the tuning's trial and the final training's linear probe are this one function."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from contract.search_space import Hyperparameters
from training.debugging import NO_DEBUGGER, Debugger
from training.features import Features
from training.history import Epoch
from training.scores import Score, score
from vision.heads import Head

MOMENTUM: Final = 0.9
# A batch of more than a quarter of the set would leave too few steps to learn anything in 5 epochs.
FEWEST_STEPS: Final = 4


@dataclass(frozen=True)
class HeadFit:
    """The head as it was after its best epoch, that epoch's validation score, and all epochs."""

    head: Head
    best_epoch: int
    valid: Score
    history: Sequence[Epoch]


def steps_per_epoch(photos: int, batch_size: int) -> int:
    """Return how many optimizer steps one pass over ``photos`` takes; at least four where there are four photos."""
    return math.ceil(photos / _batch_size(photos, batch_size))


def _batch_size(photos: int, batch_size: int) -> int:
    return min(batch_size, math.ceil(photos / FEWEST_STEPS))


def fit_head(
    features: Features,
    hyperparameters: Hyperparameters,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    debugger: Debugger = NO_DEBUGGER,
) -> HeadFit:
    """Fit a linear head by SGD with Nesterov momentum and a cosine schedule, and keep its best epoch.

    It runs on the CPU on every machine, so that the tuning's small instance and the training's GPU find the same head.
    Measured against AdamW over the whole search space (docs/decisions): SGD's accuracy is at least as high in every
    corner of it.

    Args:
        features: of the training and the validation set.
        hyperparameters: learning rate, batch size, epochs.
        seed: of the order of the photos and the choice of views.
        on_epoch: called after every epoch; what it raises ends the fit.
        debugger: sees losses, weights and gradients.
    """
    inputs = features.train.features.float()  # (N, K, D)
    labels = features.train.labels  # (N,)
    valid = features.valid.features[:, 0].float()  # (M, D)
    head = Head(features.spec.feature_dim, len(features.spec.classes))
    head.standardise_on(inputs.flatten(0, 1))
    criterion = nn.CrossEntropyLoss()
    debugger.watch(head, criterion)
    steps = steps_per_epoch(len(labels), hyperparameters.batch_size) * hyperparameters.epochs
    optimizer = _NesterovSgd(head, hyperparameters.lr, steps)
    generator = torch.Generator().manual_seed(seed)

    history: list[Epoch] = []
    best = (copy.deepcopy(head.state_dict()), 0, Score(math.nan, 0.0))
    for epoch in range(1, hyperparameters.epochs + 1):
        start = time.perf_counter()
        debugger.training()
        for batch, batch_labels in _batches(inputs, labels, hyperparameters.batch_size, generator):
            head.zero_grad()
            criterion(head(batch), batch_labels).backward()
            optimizer.step()
        debugger.evaluating()
        with torch.no_grad():
            valid_logits = head(valid)
            criterion(valid_logits, features.valid.labels)  # seen by the debugger
        # forward(), not a call: the debugger need not see the training set twice.
        train_score = score(head.forward(inputs[:, 0]), labels)
        valid_score = score(valid_logits, features.valid.labels)
        history.append(_row(epoch, train_score, valid_score, time.perf_counter() - start))
        if valid_score.better_than(best[2]):
            best = (copy.deepcopy(head.state_dict()), epoch, valid_score)
        on_epoch(history[-1])
    head.load_state_dict(best[0])
    return HeadFit(head, best[1], best[2], history)


class _NesterovSgd:
    """torch.optim.SGD with Nesterov momentum and CosineAnnealingLR, without torch.optim.

    Making an optimizer of torch.optim imports its compiler: 1.9 s of CPU, as much as all the rest of a trial.
    """

    def __init__(self, head: nn.Module, lr: float, steps: int) -> None:
        self._parameters = list(head.parameters())
        self._velocities = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._lr, self._steps, self._done = lr, steps, 0

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters along their gradients."""
        lr = self._lr * 0.5 * (1 + math.cos(math.pi * self._done / self._steps))
        self._done += 1
        for parameter, velocity in zip(self._parameters, self._velocities, strict=True):
            assert parameter.grad is not None
            velocity.mul_(MOMENTUM).add_(parameter.grad)
            parameter.sub_(lr * (parameter.grad + MOMENTUM * velocity))


def _batches(
    inputs: Tensor, labels: Tensor, batch_size: int, generator: torch.Generator
) -> "list[tuple[Tensor, Tensor]]":
    photos, views = inputs.shape[:2]
    order = torch.randperm(photos, generator=generator)
    view = torch.randint(views, (photos,), generator=generator)
    return [
        (inputs[chosen, view[chosen]], labels[chosen]) for chosen in torch.split(order, _batch_size(photos, batch_size))
    ]


def _row(epoch: int, train: Score, valid: Score, seconds: float) -> Epoch:
    return Epoch(epoch, "probe", train.loss, train.accuracy, valid.loss, valid.accuracy, seconds)
