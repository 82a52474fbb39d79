"""Each rule on a real training that must trigger it and one that must not.

There is no GPU where these run: the GPU's rules look at readings of the shape that a GPU's profile has.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from contract.findings import Finding
from tests.training.profiling.small_training import Slowed, Usual, Wrap, fine_tune, open_one
from training.profiling.clocks import HostClock
from training.profiling.gpu_rules import BatchSize, GPUMemoryIncrease, LowGPUUtilization
from training.profiling.profile import LoaderTiming, Profile, Setting
from training.profiling.profiler import Phase
from training.profiling.registry import judge_profile
from training.profiling.rules import NotEvaluatedError
from training.profiling.sampler import Sample, Sampler
from training.profiling.step_rules import MaxInitializationTime, StepOutlier
from training.profiling.waiting_rules import CPUBottleneck, DataLoader, IOBottleneck

GIB = 2**30


def read_every(seconds: float, folder: Path, epochs: int, wrap: Wrap = lambda source: source) -> Profile:
    """Return the profile of a training during which the load is read so often: a quick one is over within a second."""
    init = Sampler.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sampler, "__init__", lambda self, waited, gpu: init(self, waited, gpu, seconds))
        with closing(open_one(folder)) as profiler:
            fine_tune(folder / "checkpoints", profiler, epochs, wrap)
            return profiler.finish()


@pytest.fixture(scope="module")
def waited(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Return the profile of a training that waits most of the time for photos that sleep on some slow disk."""
    return read_every(0.1, tmp_path_factory.mktemp("waited"), 1, lambda source: Slowed(source, 0.4, every=1))


class Steady(HostClock):
    """A clock by which everything takes as long as ever, whatever else the machine does, but for what is added."""

    def __init__(self) -> None:
        self.now = 0.0

    def mark(self) -> float:
        self.now += 0.01
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def alone(profile: Profile, cpu: float) -> Profile:
    """Return a profile as if the machine had nothing else to do: this one is shared, and its load is not the test's."""
    return replace(profile, timeline=[replace(sample, cpu=cpu, io_wait=0.0) for sample in profile.timeline])


def found(finding: Finding | None) -> Finding:
    assert finding is not None
    return finding


def test_slow_storage_is_an_io_bottleneck_and_no_cpu_bottleneck(waited: Profile) -> None:
    profile = alone(waited, cpu=8.0)
    finding = found(IOBottleneck(threshold=30, gpu_threshold=30, patience=5).look(profile))
    assert f"{profile.share(Phase.WAIT):.0%} of the steps' time was waiting" in finding.evidence
    assert CPUBottleneck(threshold=30, gpu_threshold=30, patience=5).look(profile) is None


def test_waiting_for_busy_processors_is_a_cpu_bottleneck_and_no_io_bottleneck(waited: Profile) -> None:
    profile = alone(waited, cpu=97.0)
    finding = found(CPUBottleneck(threshold=30, gpu_threshold=30, patience=5).look(profile))
    assert "more than 2 cores" in finding.advice
    assert IOBottleneck(threshold=30, gpu_threshold=30, patience=5).look(profile) is None


def test_a_training_on_cached_activations_has_no_bottleneck(tmp_path: Path) -> None:
    whole = read_every(0.01, tmp_path, epochs=4)
    for cpu in (8.0, 97.0):
        profile = alone(whole, cpu)
        assert CPUBottleneck(patience=1).look(profile) is None
        assert IOBottleneck(patience=1).look(profile) is None


def test_a_training_of_a_few_seconds_is_too_short_for_shares_of_it(usual: Usual) -> None:
    with pytest.raises(NotEvaluatedError, match="was read"):
        CPUBottleneck(patience=10_000).look(usual.profile)


def test_one_thread_for_many_cores_is_found_with_what_others_save(waited: Profile) -> None:
    setting = replace(waited.setting, cores=4, loader_threads=1)
    timing = LoaderTiming(1, {1: 0.04, 2: 0.022, 4: 0.012}, 64)
    finding = found(DataLoader().look(replace(waited, setting=setting, loader=timing)))
    saved = 1 - max(1 - waited.share(Phase.WAIT), 0.012 / 0.04)
    assert f"4 loader threads instead of 1 would save up to {saved:.0%} of the steps' time" in finding.advice
    assert "per photo: 40.0 ms with 1, 22.0 ms with 2, 12.0 ms with 4" in finding.advice


def test_enough_threads_that_no_other_number_beats_are_not(waited: Profile) -> None:
    setting = replace(waited.setting, cores=2, loader_threads=2)
    timing = LoaderTiming(2, {1: 0.04, 2: 0.02, 4: 0.021}, 64)
    assert DataLoader().look(replace(waited, setting=setting, loader=timing)) is None


def test_one_thread_that_nobody_waits_for_is_enough(usual: Usual) -> None:
    # One step that is interrupted while it gathers its batch has waited for the machine, not for a thread.
    at_once = [replace(each, phases={**each.phases, Phase.WAIT: 0.0}) for each in usual.profile.step_times]
    profile = replace(usual.profile, step_times=at_once, setting=Setting(8, loader_threads=1))
    assert DataLoader().look(profile) is None


def test_the_loader_is_not_judged_where_activations_are_cached(usual: Usual) -> None:
    with pytest.raises(NotEvaluatedError, match="activations are cached"):
        DataLoader().look(usual.profile)


def test_steps_that_are_held_up_now_and_then_are_found_with_their_phase(tmp_path: Path) -> None:
    clock = Steady()
    with closing(open_one(tmp_path, clock)) as profiler:
        fine_tune(tmp_path / "checkpoints", profiler, 3, lambda source: Slowed(source, 2.0, 16, clock.sleep))
        profile = profiler.finish()
    finding = found(StepOutlier(stddev=2, n_outliers=1).look(profile))
    assert finding.step == 16
    assert "in the phase wait" in finding.evidence
    assert StepOutlier(stddev=2, n_outliers=2).look(profile) is None


def test_few_steps_cannot_stand_out(usual: Usual) -> None:
    with pytest.raises(NotEvaluatedError, match="fewer than 110"):
        StepOutlier().look(usual.profile)


def test_a_late_first_step_is_found_with_what_came_before_it(usual: Usual) -> None:
    finding = found(MaxInitializationTime(threshold=1e-4).look(usual.profile))
    assert "minutes after the start" in finding.evidence
    assert MaxInitializationTime().look(usual.profile) is None


def on_gpu(usual: Usual, gpu: list[float], memory: list[float], cpu: float = 40.0) -> Profile:
    """Return a real profile with readings of a GPU of 16 GiB in place of its own."""
    timeline = [
        Sample(1000.0 + at, cpu, 0.0, 5.0, GIB, 0.0, 0.0, 0.0, load, int(used / 100 * 16 * GIB))
        for at, (load, used) in enumerate(zip(gpu, memory, strict=True))
    ]
    return replace(usual.profile, timeline=timeline, setting=Setting(8, 64, None, 16 * GIB))


def test_a_gpu_that_idles_or_falls_again_and_again_is_underused(usual: Usual) -> None:
    low = found(LowGPUUtilization().look(on_gpu(usual, [30.0] * 40, [45.0] * 40)))
    assert "is low: 30 % at the 5th, 30 % at the 95th" in low.evidence
    assert "128 fit into 90%" in low.advice
    assert "falls again" in found(LowGPUUtilization().look(on_gpu(usual, [95.0, 2.0] * 20, [45.0] * 40))).evidence
    assert LowGPUUtilization().look(on_gpu(usual, [92.0] * 40, [45.0] * 40)) is None


def test_memory_that_keeps_growing_is_found_and_a_full_allocator_is_not(usual: Usual) -> None:
    growing = on_gpu(usual, [90.0] * 60, [20.0 + at for at in range(60)])
    assert "rose from" in found(GPUMemoryIncrease().look(growing)).evidence
    assert GPUMemoryIncrease().look(on_gpu(usual, [90.0] * 60, [5.0] * 15 + [60.0] * 45)) is None


def test_a_batch_is_too_small_where_nothing_is_busy(usual: Usual) -> None:
    finding = found(BatchSize().look(on_gpu(usual, [30.0] * 40, [20.0] * 40)))
    assert "288 fit into 90%" in finding.advice
    assert BatchSize().look(on_gpu(usual, [30.0] * 40, [80.0] * 40)) is None
    assert BatchSize().look(on_gpu(usual, [30.0] * 40, [20.0] * 40, cpu=90.0)) is None


@pytest.mark.parametrize("rule", [LowGPUUtilization(), GPUMemoryIncrease(), BatchSize()], ids=lambda rule: rule.name)
def test_without_a_gpu_its_rules_are_not_evaluated(
    usual: Usual, rule: LowGPUUtilization | GPUMemoryIncrease | BatchSize
) -> None:
    with pytest.raises(NotEvaluatedError, match="no GPU"):
        rule.look(usual.profile)


def test_every_rule_has_a_state_and_an_ordinary_training_no_finding(usual: Usual) -> None:
    states, findings = judge_profile(usual.profile)
    assert [state["name"] for state in states] == [
        *("BatchSize", "CPUBottleneck", "DataLoader", "GPUMemoryIncrease"),
        *("IOBottleneck", "LowGPUUtilization", "MaxInitializationTime", "StepOutlier"),
    ]
    assert {state["state"] for state in states} <= {"clear", "not evaluated"}
    assert all(state["why"] for state in states if state["state"] == "not evaluated")
    assert findings == []
