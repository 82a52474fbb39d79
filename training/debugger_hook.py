"""Makes smdebug's hook; importing it imports smdebug."""

import os
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("SMDEBUG_LOG_LEVEL", "warning")  # else it tells ten lines of its own affairs

from smdebug import modes
from smdebug.core.config_constants import TRAINING_END_DELAY_REFRESH_KEY
from smdebug.pytorch import Hook, ReductionConfig, SaveConfig, SaveConfigMode

from training.saved_tensors import (
    ABSOLUTE_REDUCTIONS,
    BIASES,
    EXPRESSIONS,
    GRADIENTS,
    LABELS,
    LOSSES,
    PREDICTIONS,
    REDUCTIONS,
    SAMPLE_PREFIX,
    WEIGHTS,
)

# Else a trial that has ended is looked at twice, a second apart, for files that S3 may show late.
os.environ.setdefault(TRAINING_END_DELAY_REFRESH_KEY, "0")

# A loss is one number, and rules compare means of them: saved more often than the rest.
_LOSSES_PER_SAVE: Final = 4


def configured_hook(configuration: Path) -> Any:
    """Return the hook that a debughookconfig.json of SageMaker describes."""
    return Hook.create_from_json_file(str(configuration))


def own_hook(out_dir: Path, save_interval: int) -> Any:
    """Return a hook that saves what the rules of training/rules look at to ``out_dir``."""
    collections = [LOSSES, WEIGHTS, BIASES, GRADIENTS, *EXPRESSIONS]
    hook = Hook(out_dir=str(out_dir), include_collections=collections, save_config=_in_training_only(save_interval))
    reduced = ReductionConfig(reductions=list(REDUCTIONS), abs_reductions=list(ABSOLUTE_REDUCTIONS))
    for name in (WEIGHTS, BIASES, GRADIENTS):
        hook.get_collection(name).reduction_config = reduced
    for name, expression in EXPRESSIONS.items():
        hook.get_collection(name).include(expression)
    hook.get_collection(LOSSES).save_config = _always_in_evaluations(max(1, save_interval // _LOSSES_PER_SAVE))
    for name in (LABELS, PREDICTIONS):
        hook.get_collection(name).save_config = _always_in_evaluations(save_interval)
    for name, kind in ((WEIGHTS, "weight"), (BIASES, "bias")):
        # smdebug's own expressions would count their samples as weights, too.
        hook.get_collection(name).include_regex = [rf"^(?!gradient/|{SAMPLE_PREFIX}).*{kind}$"]
    return hook


def _in_training_only(interval: int) -> SaveConfig:
    return SaveConfig({modes.TRAIN: SaveConfigMode(save_interval=interval), modes.EVAL: SaveConfigMode(end_step=0)})


def _always_in_evaluations(interval: int) -> SaveConfig:
    return SaveConfig(
        {modes.TRAIN: SaveConfigMode(save_interval=interval), modes.EVAL: SaveConfigMode(save_interval=1)}
    )
