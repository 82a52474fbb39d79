"""Fine-tuning: the last stages of the backbone and the head, together, starting from the fitted head."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.activations import Activations, ActivationSource, TrainedPart
from training.checkpoints import Checkpoints
from training.debugging import Debugger
from training.environment import StopSignal
from training.history import Epoch
from training.profiling.profiler import NO_PROFILER, Phase, Profiler
from training.progress import say
from training.scores import Score
from training.trained_network import Average, TrainedNetwork
from training.world import BatchPlan
from vision.heads import Head

# The first stage that is trained, and the learning rate of the backbone. ResNet50: the best reported result on the
# 133 dog breeds. EfficientNet-Lite0: 2e-4 first makes the fitted head worse, which chance then lets a small validation
# set keep (docs/decisions, 9); one stage earlier costs 3.5 times the time for nothing.
FIRST_TRAINED: Final = {"resnet50": "layer4", "efficientnet_lite0": "blocks.6"}
BACKBONE_LR: Final = {"resnet50": 7.4e-5, "efficientnet_lite0": 5e-5}
# Adam moves every weight by about its learning rate; SGD by that times the gradient, which is far below 1 here.
# One run each on a third of the toy set (docs/decisions, 9): loss 0.037, with 20 0.043, AdamW 0.030; 200 diverged.
SGD_LR_FACTOR: Final = 50.0
WARM_UP: Final = 0.1
WEIGHT_DECAY: Final = 0.01
MOMENTUM: Final = 0.9
EVALUATION_BATCH: Final = 64


@dataclass(frozen=True)
class FineTuning:
    """The settings of one fine-tuning; learning rates are the peaks of the schedule.

    ``class_weights`` say what a photo of each class counts in the loss; None: all the same.
    """

    epochs: int
    backbone_lr: float
    head_lr: float
    plan: BatchPlan
    optimizer: str = "adamw"
    label_smoothing: float = 0.0
    ema: float = 0.0
    class_weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Tools:
    """What the loop reports to, restarts from and is stopped by."""

    checkpoints: Checkpoints
    debugger: Debugger
    stop: StopSignal
    on_epoch: Callable[[Epoch], None]
    profiler: Profiler = NO_PROFILER


@dataclass
class _Best:
    score: Score
    epoch: int
    state: dict[str, Any]


class FineTuner:
    """Trains the trained part and the head and keeps the best epoch; epoch 0 is the fitted head, nothing fine-tuned.

    The best epoch has the highest validation accuracy, then the lowest loss. On photos held out from training and
    choice (docs/decisions, 9) the lowest loss, or accuracy only beyond its standard error, chose no better; the last
    epoch was worse.

    One step is one batch of the plan, whatever fits into memory and however many processes share it: every process
    adds up the gradients of its photos' losses, and their sum is divided by the weight of all photos of the batch.
    """

    def __init__(
        self, part: TrainedPart, head: Head, source: ActivationSource, valid: Activations, settings: FineTuning
    ) -> None:
        self._source, self._valid, self._settings = source, valid, settings
        self._device, self._world = part.device, settings.plan.world
        self._network = TrainedNetwork(part, head)
        self._network.requires_grad_(True)
        self._shared = self._world.average_gradients_of(self._network)
        weights = settings.class_weights
        self._class_weights = None if weights is None else torch.tensor(weights, device=part.device)
        self._criterion = nn.CrossEntropyLoss(self._class_weights, label_smoothing=settings.label_smoothing)
        self._optimizer = _optimizer(part, head, settings)
        self._scaler = part.precision.scaler()
        self._average = Average(self._network, settings.ema)
        self._weight = 0.0  # of the photos whose gradients are in the step so far

    def run(self, tools: Tools, steps_per_epoch: int, epochs_before: int) -> list[Epoch]:
        """Fine-tune, continuing from the newest checkpoint if there is one; leaves the best state in the modules.

        Args:
            tools: see there.
            steps_per_epoch: for the schedule.
            epochs_before: how many epochs of the history came before, for their numbering.

        Raises:
            Interrupted: SIGTERM came; the last whole epoch is in the checkpoints.
        """
        tools.debugger.watch(self._network)
        history: list[Epoch] = []
        found = tools.checkpoints.load_latest()
        if found is None:
            best = _Best(self._validate(tools.debugger), 0, self._state())
        else:
            history, best = self._restore(*found)
            tools.debugger.skip(steps_per_epoch * len(history), len(history) + 1)
            say(f"resumed from the checkpoint of fine-tuning epoch {len(history)} of {self._settings.epochs}")
        for epoch in range(len(history) + 1, self._settings.epochs + 1):
            start = time.perf_counter()
            train = self._train(epoch, steps_per_epoch, tools)
            with tools.profiler.phase(Phase.VALIDATE), self._average.in_place():
                valid = self._validate(tools.debugger)
                if valid.better_than(best.score):
                    best = _Best(valid, epoch, self._state())
            seconds = time.perf_counter() - start
            row = Epoch(
                epochs_before + epoch, "fine-tune", train.loss, train.accuracy, valid.loss, valid.accuracy, seconds
            )
            history.append(row)
            if self._world.is_chief:
                with tools.profiler.phase(Phase.SAVE):
                    tools.checkpoints.save(epoch, self._checkpoint(history, best))
            tools.on_epoch(row)
        self._network.load_state_dict(best.state)
        kept = f"fine-tuning epoch {best.epoch}" if best.epoch else "the fitted head, which fine-tuning did not improve"
        say(f"kept {kept}: validation accuracy {best.score.accuracy:.1%}, loss {best.score.loss:.3f}")
        return history

    def _train(self, epoch: int, steps_per_epoch: int, tools: Tools) -> Score:
        """Train one epoch. Every batch norm stays in eval mode: small sets would spoil its ImageNet statistics."""
        plan, seen, profiler = self._settings.plan, _nothing_seen(self._device), tools.profiler
        profiler.begin((epoch - 1) * steps_per_epoch)
        for position, batch in enumerate(profiler.waited_for(self._source.batches(epoch))):
            number, within = divmod(position, plan.accumulated)
            last = within == plan.accumulated - 1
            if within == 0:
                tools.debugger.begin()
                with profiler.phase(Phase.OPTIMIZER):
                    done = (epoch - 1) * steps_per_epoch + number
                    self._begin_step(done / (self._settings.epochs * steps_per_epoch))
            if last or len(batch.labels):
                seen += self._accumulate(batch, last, tools)
            if last:
                self._end_step(tools)
                profiler.step()
        return _score(self._world.sum(seen))

    def _begin_step(self, progress: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * _schedule(progress)
        self._optimizer.zero_grad()
        self._weight = 0.0

    def _accumulate(self, batch: Activations, last: bool, tools: Tools) -> Tensor:
        """Add a micro-batch's gradients to the step's, and those of the other processes to its last one's."""
        with self._alone_until(last):
            with tools.profiler.phase(Phase.FORWARD):
                logits = self._shared(batch.values)
                loss, weight = self._weighed(logits, batch)
                seen = _seen(logits.detach(), batch.labels)
            with tools.profiler.phase(Phase.BACKWARD):
                # The batch's nominal size keeps gradients, and fp16, in their range until the true weight is known.
                scaled: Tensor = self._scaler.scale(loss * (weight / self._settings.plan.batch))
                torch.autograd.backward(scaled)
        tools.debugger.batch(logits, batch.labels, loss)
        self._weight += weight
        return seen

    def _end_step(self, tools: Tools) -> None:
        weight, asked_to_stop = self._world.sum_of(self._weight, float(tools.stop.received), device=self._device)
        # All processes stop at the same step, or one would wait for the others for ever.
        tools.stop.check(elsewhere=asked_to_stop > 0)
        if weight == 0:  # not one photo of the batch could be decoded
            return
        with tools.profiler.phase(Phase.OPTIMIZER):
            self._scaler.unscale_(self._optimizer)
            # DistributedDataParallel has divided by the number of processes.
            self._scale_gradients(self._settings.plan.batch * self._world.size / weight)
        tools.debugger.end(may_overflow=self._scaler.is_enabled())
        with tools.profiler.phase(Phase.OPTIMIZER):
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._average.update()

    def _weighed(self, logits: Tensor, batch: Activations) -> tuple[Tensor, float]:
        """Return the mean loss of a micro-batch and the weight that it is the mean over."""
        if not len(batch.labels):
            return logits.sum(), 0.0  # nothing, but the other processes wait for its gradients
        target = batch.labels if batch.targets is None else batch.targets
        if self._class_weights is None or batch.targets is not None:
            counted = float(len(batch.labels))
        else:
            counted = float(self._class_weights[batch.labels].sum())
        loss: Tensor = self._criterion(logits, target)
        return loss, counted

    def _alone_until(self, last: bool) -> AbstractContextManager[None]:
        """Return a context in which gradients are added up without asking the other processes, but for the last."""
        shared = self._shared
        if last or not isinstance(shared, nn.parallel.DistributedDataParallel):
            return nullcontext()
        alone: AbstractContextManager[None] = shared.no_sync()
        return alone

    def _scale_gradients(self, factor: float) -> None:
        if factor == 1:
            return
        gradients = [parameter.grad for parameter in self._network.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, factor)

    @torch.no_grad()
    def _validate(self, debugger: Debugger) -> Score:
        debugger.begin(training=False)
        labels = self._valid.labels.to(self._device)
        features = [
            self._network.part.run_trained(values.to(self._device).float())
            for values in torch.split(self._valid.values[:, 0], EVALUATION_BATCH)
        ]
        logits: Tensor = self._network.head(torch.cat(features))
        debugger.batch(logits, labels, self._criterion(logits, labels))
        debugger.end()
        return _score(self._world.sum(_seen(logits, labels)))

    def _state(self) -> dict[str, Any]:
        return deepcopy(self._network.state_dict())

    def _checkpoint(self, history: Sequence[Epoch], best: _Best) -> dict[str, Any]:
        """Return all that changes; order and augmentation follow from seed and epoch, and nothing else draws lots."""
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": self._average.state_dict(),
            "best": {"state": best.state, "epoch": best.epoch, **asdict(best.score)},
            "history": [asdict(row) for row in history],
        }

    def _restore(self, epoch: int, state: dict[str, Any]) -> tuple[list[Epoch], _Best]:
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self._average.load_state_dict(state["average"])
        history = [Epoch(**row) for row in state["history"]]
        assert len(history) == epoch
        best = state["best"]
        return history, _Best(Score(best["loss"], best["accuracy"]), best["epoch"], best["state"])


def _optimizer(part: TrainedPart, head: Head, settings: FineTuning) -> torch.optim.Optimizer:
    groups = [
        {"params": part.parameters, "peak": settings.backbone_lr},
        {"params": list(head.parameters()), "peak": settings.head_lr},
    ]
    if settings.optimizer == "sgd":
        for group in groups:
            group["peak"] *= SGD_LR_FACTOR  # type: ignore[operator]  # a number
        return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY / SGD_LR_FACTOR)
    # One pass over the weights: ResNet50's layer4 costs 0.02 instead of 0.13 s of CPU a step on 2 cores.
    return torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)


def _nothing_seen(device: torch.device) -> Tensor:
    return torch.zeros(3, dtype=torch.float64, device=device)


def _seen(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (summed plain cross-entropy, right answers, photos): the same measure as in validation."""
    loss = functional.cross_entropy(logits, labels, reduction="sum").double()
    right = (logits.argmax(dim=1) == labels).sum().double() if len(labels) else torch.zeros_like(loss)
    return torch.stack([loss, right, torch.full_like(loss, len(labels))])


def _score(seen: Tensor) -> Score:
    loss, right, photos = seen.tolist()
    return Score(loss / max(photos, 1), right / max(photos, 1))


def _schedule(progress: float) -> float:
    """Return the share of the peak learning rate at ``progress`` (0 to 1): linear warm-up, then cosine to 0."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
