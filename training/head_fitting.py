"""Fits the head on cached features: the tuning's trial and the final training's linear probe are this one function."""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from contract.metrics import Objective
from contract.search_space import Hyperparameters
from training.debugging import NO_DEBUGGER, Debugger
from training.features import Features, SplitFeatures
from training.history import Epoch
from training.scores import Score, score
from vision.heads import Head

MOMENTUM: Final = 0.9
# A batch of more than a quarter of the set would leave too few steps to learn anything in 5 epochs.
FEWEST_STEPS: Final = 4
# Rows gathered and standardised at a time: 2 MB of 2,048 features, which stay in the cache until they have been used.
# Measured against the whole epoch at once: 0.22 instead of 0.55 s of CPU for ten epochs of 6,680 photos.
_ROWS: Final = 256


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


def is_better(score: Score, than: Score, objective: Objective) -> bool:
    """Return whether a score is the better one by the objective; equal accuracies are told apart by the loss."""
    if objective is Objective.ACCURACY or not (math.isfinite(score.loss) and math.isfinite(than.loss)):
        return score.better_than(than)
    return (-score.loss, score.accuracy) > (-than.loss, than.accuracy)


def fit_head(
    features: Features,
    hyperparameters: Hyperparameters,
    seed: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    debugger: Debugger = NO_DEBUGGER,
    objective: Objective = Objective.ACCURACY,
) -> HeadFit:
    """Fit a linear head by SGD with Nesterov momentum and a cosine schedule, and keep its best epoch.

    It runs on the CPU on every machine, so that the tuning's small instance and the training's GPU find the same head.
    Measured against AdamW over the whole search space (docs/decisions): SGD's accuracy is at least as high in every
    corner of it. The training scores are those of the batches as they were trained on; the validation scores are true
    means at the end of the epoch.

    Args:
        features: of the training and the validation set.
        hyperparameters: learning rate, batch size, epochs.
        seed: of the order of the photos and of their views.
        on_epoch: called after every epoch; what it raises ends the fit.
        debugger: sees losses, weights and gradients, and changes none of them.
        objective: by what the best epoch is chosen.
    """
    train, labels = features.train, features.valid.labels
    valid = features.valid.features[:, 0].float()  # (M, D)
    head = Head(features.spec.feature_dim, len(features.spec.classes))
    head.standardise_on(train.features.flatten(0, 1))
    debugger.watch(head)
    batch_size = _batch_size(len(train.labels), hyperparameters.batch_size)
    steps = steps_per_epoch(len(train.labels), batch_size) * hyperparameters.epochs
    optimizer = _NesterovSgd(head.linear, hyperparameters.lr, steps)
    fitting = _Steps(_ClosedForm(head), optimizer, debugger)
    generator = torch.Generator().manual_seed(seed)
    photos, views = train.features.shape[:2]
    deal = _deal(photos, views, generator)  # (N, K)

    history: list[Epoch] = []
    best = (copy.deepcopy(head.state_dict()), 0, Score(math.nan, 0.0))
    for epoch in range(1, hyperparameters.epochs + 1):
        start = time.perf_counter()
        order = torch.randperm(len(train.labels), generator=generator)  # (N,)
        view = deal[:, epoch % views]  # (N,)
        train_score = _train_epoch(train, (order, view), batch_size, fitting)
        debugger.begin(training=False)
        with torch.no_grad():
            valid_logits = head(valid)  # (M, classes)
        debugger.batch(valid_logits, labels)
        debugger.end()
        valid_score = score(valid_logits, labels)
        history.append(_row(epoch, train_score, valid_score, time.perf_counter() - start))
        if is_better(valid_score, best[2], objective):
            best = (copy.deepcopy(head.state_dict()), epoch, valid_score)
        on_epoch(history[-1])
    head.load_state_dict(best[0])
    return HeadFit(head, best[1], best[2], history)


class _ClosedForm:
    """Computes the gradients of the mean cross-entropy over one batch.

    Softmax minus one-hot: 15 to 20 % less CPU time than autograd at every batch size, since steps are so small.
    """

    def __init__(self, head: Head) -> None:
        self._linear = head.linear
        self._scale = 1 / head.std  # (D,)
        self._shift = -head.mean / head.std  # (D,)
        for parameter in head.linear.parameters():
            parameter.grad = torch.zeros_like(parameter)

    def prepare(self, rows: Tensor) -> Tensor:
        return torch.addcmul(self._shift, rows, self._scale)  # (R, D)

    @torch.no_grad()
    def compute(self, rows: Tensor, labels: Tensor) -> Tensor:
        weight, bias = self._linear.weight, self._linear.bias
        assert weight.grad is not None
        assert bias.grad is not None
        logits = torch.addmm(bias, rows, weight.t())  # (B, classes)
        error = torch.softmax(logits, dim=1)  # (B, classes)
        error.scatter_add_(1, labels.unsqueeze(1), error.new_full((len(labels), 1), -1.0))
        error /= len(labels)
        torch.mm(error.t(), rows, out=weight.grad)  # (classes, D)
        torch.sum(error, dim=0, out=bias.grad)  # (classes,)
        return logits


class _NesterovSgd:
    """torch.optim.SGD with Nesterov momentum and CosineAnnealingLR: its fused kernel, without torch.optim.

    Making an optimizer of torch.optim imports torch's compiler: 1.9 s of CPU, as much as all the rest of a trial.
    """

    def __init__(self, layer: nn.Module, lr: float, steps: int) -> None:
        self._parameters: list[Tensor] = list(layer.parameters())
        self._velocities = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._lr, self._steps, self._done = lr, steps, 0

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters along their gradients."""
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        torch._fused_sgd_(
            self._parameters,
            gradients,
            self._velocities,
            lr=self._lr * 0.5 * (1 + math.cos(math.pi * self._done / self._steps)),
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=0.0,
            dampening=0.0,
            maximize=False,
            is_first_step=False,  # the velocities are there, and 0
        )
        self._done += 1


@dataclass(frozen=True)
class _Steps:
    """Takes one step of the fit at a time."""

    gradients: _ClosedForm
    optimizer: _NesterovSgd
    debugger: Debugger

    def take(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Take a step on prepared rows (B, D) and labels (B,); return the logits (B, classes) from before it."""
        self.debugger.begin()
        logits = self.gradients.compute(rows, labels)
        self.debugger.batch(logits, labels)
        self.debugger.end()
        self.optimizer.step()
        return logits


def _deal(photos: int, views: int, generator: torch.Generator) -> Tensor:
    """Return (N, K): every photo's views in an order of its own, so that it shows each once in K epochs.

    Measured against a view drawn anew in every epoch (docs/decisions, 7): no difference in loss or accuracy.
    """
    return torch.rand(photos, views, generator=generator).argsort(dim=1)


def _train_epoch(train: SplitFeatures, shown: tuple[Tensor, Tensor], batch_size: int, steps: _Steps) -> Score:
    """Take one pass over the training set; ``shown``: the order of the photos (N,) and each one's view (N,)."""
    order, view = shown
    labels = train.labels[order]  # (N,)

    def batches() -> Iterator[Tensor]:
        for chosen in torch.split(order, batch_size * max(1, _ROWS // batch_size)):
            rows = steps.gradients.prepare(train.features[chosen, view[chosen]].float())  # (R, D)
            yield from torch.split(rows, batch_size)

    logits = [
        steps.take(rows, batch_labels)
        for rows, batch_labels in zip(batches(), torch.split(labels, batch_size), strict=True)
    ]
    return score(torch.cat(logits), labels)


def _row(epoch: int, train: Score, valid: Score, seconds: float) -> Epoch:
    return Epoch(epoch, "probe", train.loss, train.accuracy, valid.loss, valid.accuracy, seconds)
