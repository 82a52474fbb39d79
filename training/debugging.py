"""Saves losses and the head's weights and gradients with smdebug, SageMaker Debugger's open library.

Where smdebug cannot be imported, or fails, training goes on without it and the log says so.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from training.environment import container_folder

LOG: Final = logging.getLogger(__name__)
COLLECTIONS: Final = ("losses", "weights", "gradients")


class Debugger:
    """Sees what training does; this one does nothing with it."""

    def watch(self, head: nn.Module, criterion: nn.Module) -> None:
        """Save the loss that ``criterion`` computes and the parameters and gradients of ``head`` from now on."""

    def training(self) -> None:
        """What follows is training."""

    def evaluating(self) -> None:
        """What follows is validation."""

    def close(self) -> None:
        """Write out what is still held back."""


NO_DEBUGGER: Final = Debugger()


def open_debugger(out_dir: Path, save_interval: int) -> Debugger:
    """Return a debugger that saves to ``out_dir`` every ``save_interval`` steps, or one that does nothing.

    An account that still has SageMaker Debugger may bring its own configuration (debughookconfig.json), which then
    decides instead.
    """
    try:
        return _SmdebugDebugger(out_dir, save_interval)
    except ImportError as error:
        LOG.warning("no tensors are saved: smdebug cannot be imported (%s)", error)
    except Exception as error:  # noqa: BLE001 (a debugger must not end the training that it looks at, whatever it raises)
        LOG.warning("no tensors are saved: smdebug cannot be set up (%s: %s)", type(error).__name__, error)
    return NO_DEBUGGER


class _SmdebugDebugger(Debugger):
    """Passes on to an smdebug hook; the first error of the hook is logged and ends the saving, not the training."""

    def __init__(self, out_dir: Path, save_interval: int) -> None:
        self._broken = False
        self._hook = self._make_hook(out_dir, save_interval)

    def _make_hook(self, out_dir: Path, save_interval: int) -> Any:
        os.environ.setdefault("SMDEBUG_LOG_LEVEL", "warning")  # else it tells ten lines of its own affairs
        from smdebug import modes
        from smdebug.pytorch import Hook, SaveConfig, SaveConfigMode

        guard = self._guard

        class GuardedHook(Hook):  # type: ignore[misc]  # smdebug publishes no types
            """smdebug's hook, called from inside forward and backward, where an exception would end the training."""

            def forward_pre_hook(self, module: nn.Module, inputs: Any) -> None:
                guard(super().forward_pre_hook, module, inputs)

            def forward_hook(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
                guard(super().forward_hook, module, inputs, outputs)

            def backward_hook(self, tname: str) -> Callable[[Tensor], None]:
                save = super().backward_hook(tname)
                return lambda gradient: guard(save, gradient)

        configuration = container_folder("input", "config", "debughookconfig.json")
        if configuration.is_file():
            return GuardedHook.create_from_json_file(str(configuration))
        save_config = SaveConfig(
            {
                modes.TRAIN: SaveConfigMode(save_interval=save_interval),
                modes.EVAL: SaveConfigMode(save_interval=1),
            }
        )
        return GuardedHook(out_dir=str(out_dir), include_collections=list(COLLECTIONS), save_config=save_config)

    def _guard(self, call: Callable[..., object], *arguments: object) -> None:
        if self._broken:
            return
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 (as above; logged, and the saving stops)
            self._broken = True
            LOG.warning("saving tensors stopped: smdebug failed (%s: %s)", type(error).__name__, error)

    def watch(self, head: nn.Module, criterion: nn.Module) -> None:
        if head not in self._hook.module_set:
            self._guard(self._hook.register_module, head)
        if criterion not in self._hook.module_set:
            self._guard(self._hook.register_loss, criterion)

    def training(self) -> None:
        from smdebug import modes

        self._guard(self._hook.set_mode, modes.TRAIN)

    def evaluating(self) -> None:
        from smdebug import modes

        self._guard(self._hook.set_mode, modes.EVAL)

    def close(self) -> None:
        self._guard(self._hook.close)
