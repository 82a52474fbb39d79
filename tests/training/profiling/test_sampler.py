import time
from typing import Any

import psutil
import pytest

from training.profiling import sampler as sampling
from training.profiling.gpu import Gpu, GpuReading
from training.profiling.sampler import Sample, Sampler


class FixedGpu(Gpu):
    def read(self) -> GpuReading:
        return GpuReading(42.0, 7)


def read_some(sampler: Sampler, count: int) -> tuple[Sample, ...]:
    sampler.start()
    deadline = time.monotonic() + 60
    while len(sampler._samples) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return sampler.stop()


def test_it_reads_the_machine_while_something_else_runs() -> None:
    samples = read_some(Sampler(lambda: 0.0, Gpu(), interval=0.01), 3)
    assert len(samples) >= 3
    assert [sample.at for sample in samples] == sorted(sample.at for sample in samples)
    assert all(0 <= sample.cpu <= 100 and sample.memory_bytes > 2**20 for sample in samples)
    assert {sample.gpu for sample in samples} == {None}


def test_the_share_of_waiting_is_that_of_the_time_between_two_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, read = iter((0.0, 0.2, 0.4, 0.0)), psutil.disk_io_counters

    def now_and_then_slow() -> Any:
        time.sleep(next(slow, 0.0))
        return read()

    monkeypatch.setattr(psutil, "disk_io_counters", now_and_then_slow)
    samples = read_some(Sampler(time.perf_counter, Gpu(), interval=0.2), 4)
    # Both clocks are read, one after the other, whatever else the reading takes.
    assert [sample.waiting for sample in samples[:4]] == pytest.approx([100] * 4, abs=20)


def test_a_gpu_is_read_too() -> None:
    samples = read_some(Sampler(lambda: 0.0, FixedGpu(), interval=0.01), 1)
    assert (samples[0].gpu, samples[0].gpu_memory_bytes) == (42.0, 7)


def test_a_long_training_keeps_fewer_readings_further_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MOST_SAMPLES", 8)
    sampler = Sampler(lambda: 0.0, Gpu(), interval=0.001)
    sampler.start()
    deadline = time.monotonic() + 60
    while sampler._interval < 0.01 and time.monotonic() < deadline:
        time.sleep(0.01)
    samples = sampler.stop()
    assert sampler._interval >= 0.01
    assert len(samples) < 8


def test_a_system_that_shows_no_disk_gives_no_figure_instead_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    sample = read_some(Sampler(lambda: 0.0, Gpu(), interval=0.01), 1)[0]
    assert (sample.disk_read_bytes_s, sample.disk_write_bytes_s) == (None, None)


def test_a_system_that_cannot_be_read_ends_the_readings_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> Any:
        raise PermissionError("/proc/stat")

    monkeypatch.setattr(psutil, "cpu_times_percent", refuse)
    sampler = Sampler(lambda: 0.0, Gpu(), interval=0.01)
    sampler.start()
    sampler._thread.join(60)
    assert sampler.stop() == ()
    assert "no longer recorded: PermissionError: /proc/stat" in caplog.text
