"""profile.json: what a profiler saw of one training."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from training.files import write_text
from training.profiling.profiler import Phase
from training.profiling.sampler import Sample

MOST_STEPS: Final = 2000


@dataclass(frozen=True)
class StepTime:
    """One step of the training, counted from 1; the phases, ``other`` included, add up to its seconds."""

    step: int
    seconds: float
    phases: dict[Phase, float]


@dataclass(frozen=True)
class LoaderTiming:
    """How fast photos are decoded and augmented, alone, with nothing else to do.

    Attributes:
        threads: those that the training used.
        seconds_per_photo: by number of threads, as timed after the training on the same photos.
        photos: how many were timed.
    """

    threads: int
    seconds_per_photo: dict[int, float]
    photos: int


@dataclass(frozen=True)
class Setting:
    """What the training ran on and with.

    Attributes:
        cores: that the job may use.
        photos_per_step: of the fine-tuning.
        loader_threads: that decode photos while the network computes; None: nothing is decoded in the steps, for
            activations are cached.
        gpu_memory_total_bytes: None without a GPU.
    """

    cores: int
    photos_per_step: int | None = None
    loader_threads: int | None = None
    gpu_memory_total_bytes: int | None = None


@dataclass(frozen=True)
class Profile:
    """What was seen.

    Attributes:
        steps: how many there were.
        seconds: from the first step's begin to the end; the sum of ``phases``.
        initialization_seconds: from the start of the process to the first step, or to the end where there was none.
        initialization: that time, by phase.
        phases: of all steps, and of what lies between them.
        step_times: of all steps but those that were traced, which takes longer.
        timeline: the machine's load, from the opening of the profiler on.
        first_step_at: when the first step began, as the timeline counts; None where there was none.
        setting: see there.
        loader: see there; None where it was not timed.
        trace: the name of the file beside profile.json; None where there is none.
    """

    steps: int
    seconds: float
    initialization_seconds: float
    initialization: dict[Phase, float]
    phases: dict[Phase, float]
    step_times: Sequence[StepTime]
    timeline: Sequence[Sample]
    first_step_at: float | None
    setting: Setting
    loader: LoaderTiming | None = None
    trace: str | None = None

    def share(self, phase: Phase) -> float:
        """Return which share (0 to 1) of the steps' time a phase has."""
        total = sum(each.seconds for each in self.step_times)
        return sum(each.phases.get(phase, 0.0) for each in self.step_times) / total if total else 0.0

    def while_training(self) -> list[Sample]:
        """Return the part of the timeline after the first step began."""
        first = self.first_step_at
        return [] if first is None else [sample for sample in self.timeline if sample.at > first]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object; of many steps every n-th, no more than 2000."""
        seconds = sorted(each.seconds for each in self.step_times)
        every = -(-len(self.step_times) // MOST_STEPS) or 1
        return {
            "steps": self.steps,
            "seconds": _rounded(self.seconds),
            "initialization_seconds": _rounded(self.initialization_seconds),
            "initialization": _phases(self.initialization),
            "phases": _phases(self.phases),
            "step_seconds": {
                "median": _rounded(statistics.median(seconds)),
                "p90": _rounded(seconds[int(0.9 * (len(seconds) - 1))]),
                "max": _rounded(seconds[-1]),
            }
            if seconds
            else None,
            "step_times": [
                [each.step, _rounded(each.seconds), _phases(each.phases)] for each in self.step_times[::every]
            ],
            "timeline": [asdict(sample) for sample in self.timeline],
            "first_step_at": self.first_step_at,
            "setting": asdict(self.setting),
            "loader": None if self.loader is None else asdict(self.loader),
            "trace": self.trace,
        }

    def save(self, path: Path) -> None:
        """Write profile.json."""
        write_text(path, json.dumps(self.as_dict()))


@dataclass
class Totals:
    """Seconds by phase, added up."""

    seconds: dict[Phase, float] = field(default_factory=dict)

    def add(self, phases: dict[Phase, float]) -> None:
        """Add the seconds of each phase."""
        for phase, seconds in phases.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds


def _rounded(seconds: float) -> float:
    return round(seconds, 6)


def _phases(phases: dict[Phase, float]) -> dict[str, float]:
    return {str(phase): _rounded(seconds) for phase, seconds in phases.items()}
