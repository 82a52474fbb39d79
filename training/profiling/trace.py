"""A torch.profiler trace of a few steps, for Perfetto (ui.perfetto.dev) or chrome://tracing."""

import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

import torch

LOG: Final = logging.getLogger(__name__)
# The first steps reserve memory and choose kernels, as no later one does.
WARM_UP_STEPS: Final = 2
TRACED_STEPS: Final = 3
# Three steps of ResNet50 take about 0.2 MB; what is far larger helps nobody, and output.tar.gz is to stay small.
MOST_BYTES: Final = 8 * 2**20


class Trace:
    """Records the steps after the first two; what fails is logged and leaves no trace.

    Args:
        path: where it goes; the name ends in ``.json.gz``.
        device: that the training runs on.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path, self._device = path, device
        self._steps = 0
        self._profile: Any = None
        self._running = False

    @property
    def running(self) -> bool:
        """Whether the step under way is recorded, which makes it slower than others."""
        return self._running

    def named(self, phase: str) -> AbstractContextManager[Any]:
        """Return a context that shows as a span in the trace."""
        return torch.profiler.record_function(f"phase: {phase}") if self._running else nullcontext()

    def step(self) -> bool:
        """Count a step; return whether recording began or ended with it."""
        self._steps += 1
        if self._steps == WARM_UP_STEPS:
            return self._start()
        if self._steps == WARM_UP_STEPS + TRACED_STEPS:
            return self._stop()
        return False

    def _start(self) -> bool:
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self._device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        try:
            self._profile = torch.profiler.profile(activities=activities)
            self._profile.start()
        except RuntimeError as error:  # another profiler of the process, for example
            LOG.warning("no trace is recorded: %s", error)
            self._profile = None
            return False
        self._running = True
        return True

    def _stop(self) -> bool:
        stopped, self._running = self._running, False
        if stopped:
            self._profile.stop()
        return stopped

    def close(self) -> None:
        """Stop recording."""
        self._stop()

    def write(self) -> str | None:
        """Write what was recorded and return the file's name; None where nothing was, or it is too large."""
        self._stop()
        if self._profile is None:
            return None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._profile.export_chrome_trace(str(self._path))
            size = self._path.stat().st_size
        except (RuntimeError, OSError) as error:
            LOG.warning("no trace is written: %s", error)
            return None
        if size > MOST_BYTES:
            LOG.warning("the trace is left out: %s MB, %s at most", size >> 20, MOST_BYTES >> 20)
            self._path.unlink()
            return None
        return self._path.name
