"""Fine-tuning: the last stages of the backbone and the head, together, starting from the fitted head."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.activations import Activations, ActivationSource, TrainedPart
from training.checkpoints import Checkpoints
from training.debugging import Debugger
from training.environment import StopSignal
from training.history import Epoch
from training.progress import say
from training.scores import RunningScore, Score, score
from vision.heads import Head

# The first stage that is trained, and the learning rate of the backbone. ResNet50: the best reported result on the
# 133 dog breeds. EfficientNet-Lite0: measured (docs/decisions); one stage earlier costs 3.5 times the time for nothing.
FIRST_TRAINED: Final = {"resnet50": "layer4", "efficientnet_lite0": "blocks.6"}
BACKBONE_LR: Final = {"resnet50": 7.4e-5, "efficientnet_lite0": 2e-4}
WARM_UP: Final = 0.1
WEIGHT_DECAY: Final = 0.01
EVALUATION_BATCH: Final = 64


@dataclass(frozen=True)
class FineTuning:
    """The settings of one fine-tuning; learning rates are the peaks of the schedule."""

    epochs: int
    backbone_lr: float
    head_lr: float
    batch_size: int


@dataclass(frozen=True)
class Tools:
    """What the loop reports to, restarts from and is stopped by."""

    checkpoints: Checkpoints
    debugger: Debugger
    stop: StopSignal
    on_epoch: Callable[[Epoch], None]


@dataclass
class _Best:
    score: Score
    epoch: int
    state: dict[str, Any]


class FineTuner:
    """Trains the trained part and the head and keeps the best epoch; epoch 0 is the fitted head, nothing fine-tuned."""

    def __init__(
        self, part: TrainedPart, head: Head, source: ActivationSource, valid: Activations, settings: FineTuning
    ) -> None:
        self._part, self._head, self._source, self._valid, self._settings = part, head, source, valid, settings
        self._trainable = nn.ModuleList([*(module for _, modules in part.trained for module in modules), head])
        self._trainable.requires_grad_(True)
        self._criterion = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.AdamW(
            [
                {"params": part.parameters, "peak": settings.backbone_lr},
                {"params": list(head.parameters()), "peak": settings.head_lr},
            ],
            weight_decay=WEIGHT_DECAY,
        )

    def run(self, tools: Tools, steps_per_epoch: int, epochs_before: int) -> list[Epoch]:
        """Fine-tune, continuing from the newest checkpoint if there is one; leaves the best state in the modules.

        Args:
            tools: see there.
            steps_per_epoch: for the schedule.
            epochs_before: how many epochs of the history came before, for their numbering.

        Raises:
            Interrupted: SIGTERM came; the last whole epoch is in the checkpoints.
        """
        tools.debugger.watch(self._head, self._criterion)
        history: list[Epoch] = []
        found = tools.checkpoints.load_latest()
        if found is None:
            best = _Best(self._validate(tools.debugger), 0, self._state())
        else:
            history, best = self._restore(*found)
            say(f"resumed from the checkpoint of fine-tuning epoch {len(history)} of {self._settings.epochs}")
        for epoch in range(len(history) + 1, self._settings.epochs + 1):
            start = time.perf_counter()
            train = self._train(epoch, steps_per_epoch, tools)
            valid = self._validate(tools.debugger)
            seconds = time.perf_counter() - start
            row = Epoch(
                epochs_before + epoch, "fine-tune", train.loss, train.accuracy, valid.loss, valid.accuracy, seconds
            )
            history.append(row)
            if valid.better_than(best.score):
                best = _Best(valid, epoch, self._state())
            tools.checkpoints.save(epoch, self._checkpoint(history, best))
            tools.on_epoch(row)
        self._trainable.load_state_dict(best.state)
        kept = f"fine-tuning epoch {best.epoch}" if best.epoch else "the fitted head, which fine-tuning did not improve"
        say(f"kept {kept}: validation accuracy {best.score.accuracy:.1%}, loss {best.score.loss:.3f}")
        return history

    def _train(self, epoch: int, steps_per_epoch: int, tools: Tools) -> Score:
        """Train one epoch. Every batch norm stays in eval mode: small sets would spoil its ImageNet statistics."""
        running = RunningScore()
        tools.debugger.training()
        for number, batch in enumerate(self._source.batches(epoch)):
            tools.stop.check()
            progress = ((epoch - 1) * steps_per_epoch + number) / (self._settings.epochs * steps_per_epoch)
            for group in self._optimizer.param_groups:
                group["lr"] = group["peak"] * _schedule(progress)
            logits = self._head(self._part.run_trained(batch.values))
            loss = self._criterion(logits, batch.labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            running.add(logits.detach(), batch.labels, float(loss.detach()))
        return running.mean()

    def _validate(self, debugger: Debugger) -> Score:
        debugger.evaluating()
        device = self._part.device
        labels = self._valid.labels.to(device)
        with torch.no_grad():
            features = [
                self._part.run_trained(values.to(device).float())
                for values in torch.split(self._valid.values[:, 0], EVALUATION_BATCH)
            ]
            logits: Tensor = self._head(torch.cat(features))
            self._criterion(logits, labels)  # seen by the debugger
        return score(logits, labels)

    def _state(self) -> dict[str, Any]:
        return copy.deepcopy(self._trainable.state_dict())

    def _checkpoint(self, history: Sequence[Epoch], best: _Best) -> dict[str, Any]:
        """Return all that changes; order and augmentation follow from seed and epoch, so no RNG is in it."""
        return {
            "trainable": self._trainable.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": {"state": best.state, "epoch": best.epoch, **asdict(best.score)},
            "history": [asdict(row) for row in history],
        }

    def _restore(self, epoch: int, state: dict[str, Any]) -> tuple[list[Epoch], _Best]:
        self._trainable.load_state_dict(state["trainable"])
        self._optimizer.load_state_dict(state["optimizer"])
        history = [Epoch(**row) for row in state["history"]]
        assert len(history) == epoch
        best = state["best"]
        return history, _Best(Score(best["loss"], best["accuracy"]), best["epoch"], best["state"])


def _schedule(progress: float) -> float:
    """Return the share of the peak learning rate at ``progress`` (0 to 1): linear warm-up, then cosine to 0."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
