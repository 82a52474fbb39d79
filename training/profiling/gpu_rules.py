"""Rules of the GPU's load; without a GPU they are not evaluated."""

import statistics
from itertools import pairwise
from typing import Final

from contract.findings import Finding
from training.profiling.profile import Profile
from training.profiling.profiler import Phase
from training.profiling.rules import PATIENCE, NotEvaluatedError, ProfileRule, quantile, readings
from training.profiling.sampler import Sample
from training.profiling.waiting_rules import loading_advice

# Of the GPU's memory: the rest is what the allocator loses between blocks.
FILLED: Final = 0.9


def _on_gpu(profile: Profile, patience: int) -> list[Sample]:
    if profile.setting.gpu_memory_total_bytes is None:
        raise NotEvaluatedError("There was no GPU whose load could be read.")
    return [sample for sample in readings(profile, patience) if sample.gpu is not None]


def _loads(samples: list[Sample]) -> list[float]:
    return [sample.gpu for sample in samples if sample.gpu is not None]


def _memory(profile: Profile, samples: list[Sample]) -> list[float]:
    """Return percent of the GPU's memory in use."""
    total = profile.setting.gpu_memory_total_bytes or 1
    return [100 * sample.gpu_memory_bytes / total for sample in samples if sample.gpu_memory_bytes is not None]


def larger_batch(profile: Profile, used: float) -> str:
    """Return the batch that fits: memory grows at most in proportion to it, for the weights take their part once."""
    batch = profile.setting.photos_per_step
    if batch is None or used <= 0:
        return "Take a larger batch or a smaller instance."
    fits = int(batch * 100 * FILLED / used)
    return (
        f"{used:.0f} % of the GPU's memory were in use with {batch} photos per step: {fits} fit into "
        f"{FILLED:.0%} (fine_tune_batch), or a smaller GPU will do."
    )


class LowGPUUtilization(ProfileRule):
    """The GPU's load is low (95th percentile), or falls again and again (5th percentile)."""

    def __init__(
        self, threshold_p95: float = 70, threshold_p5: float = 10, window: int = 500, patience: int = PATIENCE
    ) -> None:
        self._p95, self._p5, self._window, self._patience = threshold_p95, threshold_p5, window, patience

    def look(self, profile: Profile) -> Finding | None:
        """Return the percentiles of the last ``window`` readings."""
        loads = _loads(_on_gpu(profile, self._patience)[-self._window :])
        if not loads:
            raise NotEvaluatedError("The GPU's load could not be read.")
        high, low = quantile(loads, 0.95), quantile(loads, 0.05)
        if high >= self._p95 and low >= self._p5:
            return None
        kind = "is low" if high < self._p95 else "falls again and again"
        waiting = profile.share(Phase.WAIT)
        return self.found(
            None,
            f"The GPU's load {kind}: {low:.0f} % at the 5th, {high:.0f} % at the 95th percentile; {waiting:.0%} of the "
            "steps' time was waiting for data.",
            "The GPU is paid for time in which it computes nothing.",
            loading_advice(profile, larger_batch(profile, max(_memory(profile, profile.while_training()), default=0))),
        )


class GPUMemoryIncrease(ProfileRule):
    """The moving average of the GPU's memory rises by more than ``increase`` percent of the memory."""

    def __init__(self, increase: float = 5, patience: int = PATIENCE, window: int = 10) -> None:
        self._increase, self._patience, self._window = increase, patience, window

    def look(self, profile: Profile) -> Finding | None:
        """Return the first rise from one window to the next; the readings before ``patience`` fill the allocator."""
        used = _memory(profile, _on_gpu(profile, self._patience + 2 * self._window)[self._patience :])
        width = self._window
        means = [statistics.fmean(used[at : at + width]) for at in range(0, len(used) - width + 1, width)]
        for before, after in pairwise(means):
            if after - before > self._increase:
                return self.found(
                    None,
                    f"The GPU's memory in use rose from {before:.1f} to {after:.1f} % within {2 * width} readings; "
                    f"it ended at {used[-1]:.1f} %.",
                    "What keeps growing ends the training when the memory is full.",
                    f"Look for tensors that are kept from step to step with their graph: {100 - used[-1]:.0f} % of the "
                    "memory are left.",
                )
        return None


class BatchSize(ProfileRule):
    """Processors, GPU and its memory are all used little: the batch is too small, or the instance too large."""

    def __init__(
        self,
        cpu_threshold_p95: float = 70,
        gpu_threshold_p95: float = 70,
        gpu_memory_threshold_p95: float = 70,
        patience: int = PATIENCE,
        window: int = 500,
    ) -> None:
        self._limits = (cpu_threshold_p95, gpu_threshold_p95, gpu_memory_threshold_p95)
        self._patience, self._window = patience, window

    def look(self, profile: Profile) -> Finding | None:
        """Return the 95th percentiles of the last ``window`` readings."""
        found = _on_gpu(profile, self._patience)[-self._window :]
        series = ([sample.cpu for sample in found], _loads(found), _memory(profile, found))
        if not all(series):
            raise NotEvaluatedError("The GPU's load could not be read.")
        cpu, gpu, memory = (quantile(values, 0.95) for values in series)
        if any(value >= limit for value, limit in zip((cpu, gpu, memory), self._limits, strict=True)):
            return None
        return self.found(
            None,
            f"The 95th percentiles are low: processors {cpu:.0f} %, GPU {gpu:.0f} %, its memory {memory:.0f} %.",
            "The batch is too small for the GPU, or the GPU too large for the task.",
            larger_batch(profile, memory),
        )
