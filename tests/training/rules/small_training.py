"""Real trainings in a second: drawn points instead of photos, a small network, and the debugger that looks on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from contract.findings import Finding
from training.debugging import Debugger, open_debugger

CLASSES, DIMENSIONS = 3, 8


@dataclass(frozen=True)
class Points:
    """Points (N, D) around a centre per class, and their labels (N,)."""

    values: Tensor
    labels: Tensor


def points(per_class: tuple[int, ...] = (40,) * CLASSES, seed: int = 0) -> Points:
    """Return points of as many classes as there are numbers, so many of each."""
    centres = 3 * torch.randn(len(per_class), DIMENSIONS, generator=torch.Generator().manual_seed(0))
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(per_class)])
    noise = torch.randn(len(labels), DIMENSIONS, generator=torch.Generator().manual_seed(seed))
    return Points(centres[labels] + noise, labels)


def network(activation: Callable[[], nn.Module] = nn.ReLU, classes: int = CLASSES) -> nn.Sequential:
    """Return a network of three layers."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(DIMENSIONS, 32), activation(), nn.Linear(32, 32), activation(), nn.Linear(32, classes)
    )


@dataclass
class SmallTraining:
    """Trains with SGD, one validation after each epoch; every step is saved, and ``layers_too``: weights and so on."""

    folder: Path
    network: nn.Module
    train: Points
    valid: Points
    lr: float = 0.05
    epochs: int = 6
    batch: int = 32
    layers_too: bool = True

    def run(self) -> Any:
        """Return smdebug's trial of the training."""
        debugger = open_debugger(self.folder, 1)
        debugger.watch(self.network if self.layers_too else nn.Identity())
        optimizer = torch.optim.SGD(self.network.parameters(), self.lr)
        for epoch in range(self.epochs):
            for values, labels in self._batches(epoch):
                debugger.begin()
                logits = self.network(values)  # (N, classes)
                loss = functional.cross_entropy(logits, labels)
                debugger.batch(logits, labels, loss)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                debugger.end()
                optimizer.step()
            self._validate(debugger)
        debugger.close()
        from smdebug.trials import create_trial

        return create_trial(str(self.folder))

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.train.labels), generator=torch.Generator().manual_seed(epoch))
        for chosen in torch.split(order, self.batch):
            yield self.train.values[chosen], self.train.labels[chosen]

    @torch.no_grad()
    def _validate(self, debugger: Debugger) -> None:
        debugger.begin(training=False)
        debugger.batch(self.network(self.valid.values), self.valid.labels)
        debugger.end()


def findings(make: Callable[..., Any], trial: Any, **parameters: Any) -> list[Finding]:
    """Return what a rule finds at each saved step, in order."""
    rule, found = make(trial, **parameters), []
    for step in trial.steps():
        if rule.invoke_at_step(step):
            found.append(rule.finding)
    return found
