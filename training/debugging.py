"""Saves what a training computes with smdebug, SageMaker Debugger's open library, for rules to look at.

Where smdebug cannot be imported, or fails, training goes on without it and the log says so. What is saved under which
name stands in training/saved_tensors.py. smdebug's own hooks on modules are not used: they would see gradients of
micro-batches, scaled where the precision is fp16, and nothing of a head that is fitted in closed form.
"""

import atexit
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.activation_taps import ActivationTaps
from training.environment import container_folder
from training.saved_tensors import (
    ACTIVATIONS,
    GRADIENT_PREFIX,
    GRADIENTS,
    LABELS,
    LOSS,
    PREDICTIONS,
    SAMPLE,
    SAMPLE_PREFIX,
    SAMPLES,
)

LOG: Final = logging.getLogger(__name__)


class Debugger:
    """Sees what training does; this one does nothing with it.

    A step is ``begin``, ``batch`` for each part of the step's batch, ``end`` when its gradients are there and the
    weights have not moved yet. An evaluation is a step without gradients.

    Attributes:
        folder: where the tensors are; None where none are saved.
        reason: why none are.
    """

    folder: Path | None = None

    def __init__(self, reason: str = "nothing asked for it") -> None:
        self.reason = reason

    def watch(self, network: nn.Module) -> None:
        """Save the parameters, gradients and activations of ``network`` from now on, instead of another one's."""

    def begin(self, *, training: bool = True) -> None:
        """Begin a step of the training, or an evaluation."""

    def batch(self, logits: Tensor, labels: Tensor, loss: Tensor | None = None) -> None:
        """See logits (N, classes), labels (N,) and their mean loss; None: the plain cross-entropy."""

    def end(self, *, may_overflow: bool = False) -> None:
        """See the gradients; where they may overflow, as those of fp16 do by design, only finite ones."""

    def skip(self, training: int, evaluations: int) -> None:
        """Go on counting after so many steps, which an interrupted attempt has taken."""

    def close(self) -> None:
        """Write out what is still held back."""


NO_DEBUGGER: Final = Debugger()


def open_debugger(out_dir: Path, save_interval: int, on_saved: Callable[[], None] = lambda: None) -> Debugger:
    """Return a debugger that saves to ``out_dir`` every ``save_interval`` steps, or one that does nothing.

    An account that still has SageMaker Debugger may bring its own configuration (debughookconfig.json), which then
    decides what is saved where and how often. What another run left in ``out_dir`` is removed.

    Args:
        out_dir: for the tensors.
        save_interval: in steps of the training; evaluations are always saved.
        on_saved: called when a saved step is readable; what it raises ends the training.
    """
    try:
        return _SmdebugDebugger(_make_hook(out_dir, save_interval), on_saved)
    except ImportError as error:
        reason = f"smdebug cannot be imported ({error})"
    except Exception as error:  # noqa: BLE001 (a debugger must not end the training that it looks at, whatever it raises)
        reason = f"smdebug cannot be set up ({type(error).__name__}: {error})"
    LOG.warning("no tensors are saved: %s", reason)
    return Debugger(reason)


def is_configured() -> bool:
    """Return whether SageMaker says itself what is to be saved."""
    return _configuration().is_file()


def _configuration() -> Path:
    return container_folder("input", "config", "debughookconfig.json")


def _make_hook(out_dir: Path, save_interval: int) -> Any:
    from training.debugger_hook import configured_hook, own_hook

    if is_configured():
        return configured_hook(_configuration())
    if out_dir.exists():
        shutil.rmtree(out_dir)
    return own_hook(out_dir, save_interval)


@dataclass
class _Step:
    """What was seen of the step that is being saved."""

    logits: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)


class _SmdebugDebugger(Debugger):
    """Passes on to an smdebug hook; the first error of the hook is logged and ends the saving, not the training.

    Args:
        hook: of training/debugger_hook.py.
        on_saved: see open_debugger.
    """

    def __init__(self, hook: Any, on_saved: Callable[[], None]) -> None:
        super().__init__("")
        self.folder = Path(hook.out_dir)
        self._hook, self._on_saved = hook, on_saved
        self._broken = False
        self._network: nn.Module | None = None
        self._taps = ActivationTaps()
        self._parameters: dict[str, nn.Parameter] = {}
        self._step: _Step | None = None
        self._training = True

    def _guard(self, call: Callable[..., object], *arguments: object) -> None:
        if self._broken:
            return
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 (as above; logged, and the saving stops)
            self._broken, self._step = True, None
            self._taps.remove()
            self.reason = f"smdebug failed ({type(error).__name__}: {error})"
            LOG.warning("saving tensors stopped: %s", self.reason)

    def watch(self, network: nn.Module) -> None:
        self._guard(self._watch, network)

    def _watch(self, network: nn.Module) -> None:
        name = type(network).__name__
        network.__dict__["_module_name"] = name  # what smdebug calls it by
        self._network = network
        self._parameters = {
            f"{name}_{path}": parameter for path, parameter in network.named_parameters() if parameter.requires_grad
        }
        self._taps.attach(network, name)

    def begin(self, *, training: bool = True) -> None:
        """Begin a step; the one before it is then whole on the disk."""
        saved = self._step is not None
        self._step = None
        self._guard(self._begin, training)
        if saved:
            self._on_saved()

    def _begin(self, training: bool) -> None:
        from smdebug import modes

        self._training = training
        self._hook.set_mode(modes.TRAIN if training else modes.EVAL)
        self._hook.forward_pre_hook(self._network, ())  # closes the last step, counts, saves the weights
        if self._hook.writer is None:
            return
        self._step = _Step()
        if self._saves(SAMPLES):
            for name, parameter in self._parameters.items():
                self._save(SAMPLE_PREFIX + name, _sample(parameter))
        self._taps.listening = training and self._saves(ACTIVATIONS)

    def batch(self, logits: Tensor, labels: Tensor, loss: Tensor | None = None) -> None:
        if self._step is None or not len(labels):
            return
        logits = logits.detach().float()
        self._step.logits.append(logits)
        self._step.labels.append(labels)
        self._step.losses.append(functional.cross_entropy(logits, labels) if loss is None else loss.detach())
        self._taps.listening = False  # one micro-batch shows how a layer behaves

    def end(self, *, may_overflow: bool = False) -> None:
        if self._step is not None:
            self._guard(self._end, self._step, may_overflow)

    @torch.no_grad()
    def _end(self, step: _Step, may_overflow: bool) -> None:
        if step.labels:
            sizes = torch.tensor([len(labels) for labels in step.labels], dtype=torch.float32)
            losses = torch.stack(step.losses).float().cpu()
            self._save(LOSS, (losses * sizes).sum() / sizes.sum())
            self._save(LABELS, torch.cat(step.labels).long())
            self._save(PREDICTIONS, torch.cat(step.logits).argmax(dim=1))
        for name, value in self._taps.taken():
            self._save(name, value)
        if self._training and (self._saves(GRADIENTS) or self._saves(SAMPLES)):
            self._save_gradients(may_overflow)
        self._hook.last_saved_step = self._hook.step

    def _save_gradients(self, may_overflow: bool) -> None:
        for name, parameter in self._parameters.items():
            gradient = parameter.grad
            if gradient is None or (may_overflow and not bool(gradient.isfinite().all())):
                continue
            self._save(GRADIENT_PREFIX + name, gradient)
            if self._saves(SAMPLES):
                self._save(f"{SAMPLE_PREFIX}{GRADIENT_PREFIX}{name}", _sample(gradient))

    def _saves(self, collection: str) -> bool:
        return any(saved.name == collection for saved in self._hook._get_collections_to_save_for_step())

    def _save(self, name: str, value: Tensor) -> None:
        self._hook._save_for_tensor(name, value.detach())

    def skip(self, training: int, evaluations: int) -> None:
        self._guard(self._skip, training, evaluations)

    def _skip(self, training: int, evaluations: int) -> None:
        from smdebug import modes

        first = self._hook.init_step  # -1, but where smdebug has found in the checkpoints how far it was
        if first >= 0:
            return
        self._hook.step += training + evaluations
        self._hook.mode_steps[modes.GLOBAL] = self._hook.step
        for mode, steps in ((modes.TRAIN, training), (modes.EVAL, evaluations)):
            self._hook.mode_steps[mode] = self._hook.mode_steps.get(mode, first) + steps

    def close(self) -> None:
        self._taps.remove()
        self._guard(self._close)

    def _close(self) -> None:
        atexit.unregister(self._hook._cleanup)
        if self._hook.last_saved_step is not None:
            self._hook.export_collections()
        self._hook.close()


def _sample(values: Tensor) -> Tensor:
    """Return at most SAMPLE values (n,), evenly spread and the same ones each time."""
    flat = values.detach().reshape(-1)
    return flat if len(flat) <= SAMPLE else flat[:: -(-len(flat) // SAMPLE)]
