"""The profiler that looks: cuts the training's time into phases and steps, and collects load and trace beside them."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil
import torch

from training.profiling.clocks import Clock, clock_of
from training.profiling.gpu import Gpu, open_gpu
from training.profiling.profile import Profile, Setting, StepTime, Totals
from training.profiling.profiler import NO_PROFILER, Phase, Profiler
from training.profiling.sampler import Sampler
from training.profiling.trace import Trace
from training.workers import cores

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class _Span:
    """A stretch of time without gaps: when which phase began, and when the last one ended."""

    cuts: list[tuple[Phase, Any]]
    end: Any = None
    step: int | None = None
    traced: bool = False
    into: Totals = field(default_factory=Totals)

    def phases(self, clock: Clock) -> dict[Phase, float]:
        totals = Totals()
        ends = [mark for _, mark in self.cuts[1:]] + [self.end]
        for (phase, begun), ended in zip(self.cuts, ends, strict=True):
            totals.add({phase: clock.seconds(begun, ended)})
        return totals.seconds


class RecordingProfiler(Profiler):
    """Every second from its opening on belongs to exactly one phase, so the phases of a step add up to the step.

    Phases are told by the training's own thread only. On a GPU the clock's marks are events in its stream; spans are
    added up when the GPU has passed them, which is asked for after each step and waited for once, at the end.

    Args:
        clock: see there.
        sampler: reads the machine's load; started here.
        trace: records a few steps.
        setting: what the training runs on.
        process_started: when the process did, in seconds since the epoch.
    """

    def __init__(self, clock: Clock, gpu: Gpu, trace: Trace, setting: Setting, process_started: float) -> None:
        self._clock, self._trace, self._setting = clock, trace, setting
        self._started, self._opened = process_started, time.time()
        self._phase, self._since, self._waited = Phase.OTHER, time.perf_counter(), 0.0
        self._initialization, self._totals = Totals(), Totals()
        self._steps: list[StepTime] = []
        self._timed: Callable[[Profile], Profile] | None = None
        self._pending: deque[_Span] = deque()
        self._count, self._number, self._initialized_in = 0, 0, 0.0
        self._first_step_at: float | None = None
        self._span = _Span([(Phase.OTHER, clock.mark())])
        self._sampler = Sampler(self._seconds_waited, gpu)
        self._sampler.start()

    def phase(self, name: Phase) -> "_Named":
        """Return a context whose time is the phase's, but for what phases within it claim."""
        return _Named(self, name)

    def waited_for(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time until each is there is waiting."""
        iterator = iter(items)
        while True:
            with self.phase(Phase.WAIT):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def begin(self, steps_before: int) -> None:
        """What follows are steps, after so many; what has passed since the last step is none of theirs."""
        self._end_span()
        self._number = steps_before
        if self._first_step_at is None:
            self._first_step_at = self._sampler.now()
            self._initialized_in = time.time() - self._started

    def step(self) -> None:
        """A step has ended here, and the next begins."""
        self._number += 1
        self._count += 1
        self._end_span(self._number, traced=self._trace.running)
        if self._trace.step():
            self._end_span()  # starting and ending the recording belongs to no step
        self._add_up()

    def describe(
        self, photos_per_step: int, loader_threads: int | None, timed: Callable[[Profile], Profile] | None = None
    ) -> None:
        """Say how the steps are fed, and what can time the loading when all is over."""
        self._timed = timed
        self._setting = replace(self._setting, photos_per_step=photos_per_step, loader_threads=loader_threads)

    def finish(self) -> Profile:
        """Stop looking and return what was seen."""
        self._end_span()
        self._clock.settle()
        self._add_up()
        timeline = self._sampler.stop()
        if self._first_step_at is None:
            self._initialized_in = time.time() - self._started
        # What the process did before the profiler was opened: Python's imports, most of all.
        self._initialization.add({Phase.OTHER: self._opened - self._started})
        profile = Profile(
            steps=self._count,
            seconds=sum(self._totals.seconds.values()),
            initialization_seconds=self._initialized_in,
            initialization=self._initialization.seconds,
            phases=self._totals.seconds,
            step_times=tuple(self._steps),
            timeline=timeline,
            first_step_at=self._first_step_at,
            setting=self._setting,
            trace=self._trace.write(),
        )
        return profile if self._timed is None else self._timed(profile)

    def close(self) -> None:
        """Stop looking."""
        self._sampler.stop()
        self._trace.close()

    def _switch(self, phase: Phase) -> Phase:
        """Let another phase have the time from now on; return the one that had it."""
        before, now = self._phase, time.perf_counter()
        if before is Phase.WAIT:
            self._waited += now - self._since
        self._phase, self._since = phase, now
        self._span.cuts.append((phase, self._clock.mark()))
        return before

    def _end_span(self, step: int | None = None, *, traced: bool = False) -> None:
        now = self._clock.mark()
        span, self._span = self._span, _Span([(self._phase, now)])
        span.end, span.step, span.traced = now, step, traced
        span.into = self._initialization if self._first_step_at is None else self._totals
        self._pending.append(span)

    def _add_up(self) -> None:
        """Add up what the device has left behind."""
        while self._pending and self._clock.passed(self._pending[0].end):
            span = self._pending.popleft()
            phases = span.phases(self._clock)
            span.into.add(phases)
            if span.step is not None and not span.traced:
                self._steps.append(StepTime(span.step, sum(phases.values()), phases))

    def _seconds_waited(self) -> float:
        """Return the host's seconds of waiting so far; asked by the sampler's thread."""
        waited, phase, since = self._waited, self._phase, self._since
        return waited + (time.perf_counter() - since if phase is Phase.WAIT else 0.0)


class _Named:
    """A phase that the time within belongs to. A class, as it is three times as fast as a generator's context."""

    __slots__ = ("_before", "_name", "_profiler", "_shown")

    def __init__(self, profiler: RecordingProfiler, name: Phase) -> None:
        self._profiler, self._name = profiler, name

    def __enter__(self) -> None:
        self._shown = self._profiler._trace.named(self._name)
        self._shown.__enter__()
        self._before = self._profiler._switch(self._name)

    def __exit__(self, *error: object) -> None:
        self._profiler._switch(self._before)
        self._shown.__exit__(None, None, None)


def open_profiler(wanted: bool, trace: Path, device: torch.device) -> Profiler:
    """Return a profiler that looks, or, where that is not wanted or cannot be set up, one that does not.

    Args:
        wanted: whether to look.
        trace: where the trace goes, ``trace.json.gz``.
        device: that the fine-tuning runs on.
    """
    if not wanted:
        return NO_PROFILER
    try:
        gpu = open_gpu(device)
        setting = Setting(cores(), gpu_memory_total_bytes=gpu.memory_total_bytes)
        started = psutil.Process().create_time()
        return RecordingProfiler(clock_of(device), gpu, Trace(trace, device), setting, started)
    except (psutil.Error, OSError, RuntimeError) as error:
        LOG.warning("nothing is profiled: %s: %s", type(error).__name__, error)
        return NO_PROFILER
