import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.profiling.small_training import STEPS, Slowed, Usual, fine_tune
from training.profiling.gpu import Gpu
from training.profiling.profile import Profile, Setting
from training.profiling.profiler import NO_PROFILER, Phase
from training.profiling.recording import RecordingProfiler, open_profiler
from training.profiling.trace import Trace

CPU = torch.device("cpu")
NAMED = (Phase.WAIT, Phase.COPY, Phase.FORWARD, Phase.BACKWARD, Phase.OPTIMIZER)


def test_the_named_phases_of_a_real_training_add_up_to_its_steps(usual: Usual) -> None:
    shares = [sum(step.phases.get(phase, 0.0) for phase in NAMED) / step.seconds for step in usual.profile.step_times]
    # Of steps of 15 ms, some are interrupted between two phases by what else the machine does.
    assert statistics.median(shares) == pytest.approx(1, abs=0.05)


def test_all_phases_add_up_to_the_time_that_the_training_took(usual: Usual) -> None:
    profile = usual.profile
    assert 0.98 * usual.at_least <= profile.seconds + profile.initialization_seconds <= 1.02 * usual.at_most
    assert sum(profile.phases.values()) == pytest.approx(profile.seconds)
    assert sum(profile.initialization.values()) == pytest.approx(profile.initialization_seconds, rel=0.05, abs=0.02)


def test_every_step_is_counted_and_the_traced_ones_are_not_timed(usual: Usual) -> None:
    profile = usual.profile
    assert profile.steps == 3 * STEPS
    assert [each.step for each in profile.step_times] == [1, 2, *range(6, 3 * STEPS + 1)]
    assert profile.trace == "trace.json.gz"


def test_validation_and_checkpoints_are_no_part_of_a_step(usual: Usual) -> None:
    profile = usual.profile
    assert profile.phases[Phase.SAVE] > 0
    assert profile.phases[Phase.VALIDATE] > 0
    assert not [step for step in profile.step_times if {Phase.SAVE, Phase.VALIDATE} & set(step.phases)]


def test_late_batches_are_waited_for(profiled: Callable[..., Profile]) -> None:
    profile = profiled(1, wrap=lambda source: Slowed(source, 0.05, every=2))
    late = [step for step in profile.step_times if step.step % 2 == 0]
    assert late
    assert all(step.phases[Phase.WAIT] >= 0.05 for step in late)


def test_the_numbering_goes_on_where_a_resumed_training_does(profiler: RecordingProfiler, tmp_path: Path) -> None:
    fine_tune(tmp_path, NO_PROFILER, epochs=1)
    fine_tune(tmp_path, profiler, epochs=2)
    profile = profiler.finish()
    assert (profile.steps, profile.step_times[0].step) == (STEPS, STEPS + 1)


def test_an_inner_phase_takes_its_time_from_the_outer_one(profiler: RecordingProfiler) -> None:
    profiler.begin(0)
    with profiler.phase(Phase.WAIT), profiler.phase(Phase.COPY):
        time.sleep(0.05)
    profiler.step()
    phases = profiler.finish().phases
    assert phases[Phase.COPY] >= 0.05
    assert phases[Phase.WAIT] < phases[Phase.COPY]


def test_a_phase_that_fails_gives_the_time_back(profiler: RecordingProfiler) -> None:
    profiler.begin(0)
    with pytest.raises(ValueError, match="broken"), profiler.phase(Phase.BACKWARD):
        raise ValueError("broken")
    time.sleep(0.02)
    profiler.step()
    assert profiler.finish().phases[Phase.OTHER] >= 0.02


class Lagging:
    """A clock whose marks have passed only when it is told so, as a GPU's."""

    def __init__(self) -> None:
        self.marked, self.reached, self.waits = 0, 0, 0

    def mark(self) -> int:
        self.marked += 1
        return self.marked

    def passed(self, mark: int) -> bool:
        return mark <= self.reached

    def seconds(self, begun: int, ended: int) -> float:
        assert self.passed(ended), "this would wait for the device"
        return float(ended - begun)

    def settle(self) -> None:
        self.waits += 1
        self.reached = self.marked


def test_a_device_that_lags_behind_is_waited_for_once_at_the_end(tmp_path: Path) -> None:
    clock = Lagging()
    profiler = RecordingProfiler(clock, Gpu(), Trace(tmp_path / "trace.json.gz", CPU), Setting(2), time.time())
    profiler.begin(0)
    for number in range(4):
        with profiler.phase(Phase.FORWARD):
            clock.reached = 3 * number
        profiler.step()
    assert clock.waits == 0
    profile = profiler.finish()
    assert clock.waits == 1
    assert profile.steps == 4
    assert profile.phases[Phase.FORWARD] == 4.0
    assert sum(profile.phases.values()) == profile.seconds


def test_one_that_was_switched_off_leaves_nothing(tmp_path: Path) -> None:
    profiler = open_profiler(False, tmp_path / "trace.json.gz", CPU)
    assert profiler is NO_PROFILER
    fine_tune(tmp_path / "checkpoints", profiler, epochs=1)
    assert profiler.finish() is None
    assert not (tmp_path / "trace.json.gz").exists()


def test_one_that_cannot_be_set_up_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError("no /proc here")

    monkeypatch.setattr("training.profiling.recording.psutil.Process", refuse)
    assert open_profiler(True, tmp_path / "trace.json.gz", CPU) is NO_PROFILER
    assert "nothing is profiled: OSError: no /proc here" in caplog.text
