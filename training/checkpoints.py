"""Checkpoints of the fine-tuning: one file per epoch, readable only by the training that wrote them."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from training.progress import say
from vision.torch_files import load_tensors

FORMAT: Final = 2
# The newest may be damaged by what ended the job; the one before it then serves.
KEPT: Final = 2


class Checkpoints:
    """The checkpoint folder of one training, told from others by its identity.

    Args:
        directory: synchronised with S3 by SageMaker.
        identity: everything that must be the same for a checkpoint to be continued from; plain JSON values.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any], log: Callable[[str], None] = say) -> None:
        self._directory = directory
        self._identity = json.dumps({"format": FORMAT, **identity}, sort_keys=True)
        digest = hashlib.sha256(self._identity.encode()).hexdigest()[:12]
        self._prefix = f"fine-tuning-{digest}-epoch-"
        self._log = log

    def save(self, epoch: int, state: Mapping[str, Any]) -> None:
        """Keep ``state`` (tensors and plain values) as it is after ``epoch``; it appears complete or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{self._prefix}{epoch:03d}.pt"
        partial = path.with_name(path.name + ".partial")
        torch.save({"identity": self._identity, "epoch": epoch, "state": dict(state)}, partial)
        partial.replace(path)
        for old in self._own()[KEPT:]:
            old.unlink()

    def load_latest(self) -> tuple[int, dict[str, Any]] | None:
        """Return the newest usable checkpoint's epoch and state, or None; what cannot be used is logged."""
        own = self._own()
        others = sorted(path.name for path in self._directory.glob("*.pt") if path not in own)
        if others:
            self._log(f"checkpoints of another training are ignored: {', '.join(others)}")
        for path in own:
            try:
                return self._read(path)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._log(f"checkpoint {path.name} cannot be used and is ignored: {error}")
        return None

    def _read(self, path: Path) -> tuple[int, dict[str, Any]]:
        content = load_tensors(path)
        if content["identity"] != self._identity:
            raise ValueError("it was written by another training")
        return int(content["epoch"]), dict(content["state"])

    def _own(self) -> list[Path]:
        """This training's checkpoints, newest first."""
        return sorted(self._directory.glob(f"{self._prefix}*.pt"), reverse=True)
