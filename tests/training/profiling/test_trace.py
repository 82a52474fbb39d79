import gzip
import json
from pathlib import Path

import pytest
import torch

from tests.training.profiling.small_training import Usual
from training.profiling.trace import TRACED_STEPS, WARM_UP_STEPS, Trace

CPU = torch.device("cpu")


def record(trace: Trace) -> None:
    for _ in range(WARM_UP_STEPS + TRACED_STEPS + 1):
        with trace.named("forward"):
            torch.ones(4, 4) @ torch.ones(4, 4)
        trace.step()


def test_the_trace_shows_the_operators_of_three_steps_and_the_phases_that_they_belong_to(usual: Usual) -> None:
    path = usual.folder / "trace.json.gz"
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    names = [event.get("name") for event in events]
    assert names.count("phase: forward") == TRACED_STEPS
    assert "aten::convolution" in names
    assert path.stat().st_size < 2**20


def test_a_training_that_ends_while_it_is_traced_keeps_what_there_is(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.json.gz", CPU)
    for _ in range(WARM_UP_STEPS):
        trace.step()
    assert trace.running
    assert trace.write() == "trace.json.gz"


def test_a_training_of_two_steps_has_no_trace(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.json.gz", CPU)
    trace.step()
    assert trace.write() is None


def test_a_trace_that_is_too_large_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("training.profiling.trace.MOST_BYTES", 10)
    trace = Trace(tmp_path / "trace.json.gz", CPU)
    record(trace)
    assert trace.write() is None
    assert list(tmp_path.iterdir()) == []
    assert "the trace is left out" in caplog.text


def test_a_recording_that_cannot_begin_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(profile: torch.profiler.profile) -> None:
        raise RuntimeError("another profiler is at work")

    monkeypatch.setattr(torch.profiler.profile, "start", refuse)
    trace = Trace(tmp_path / "trace.json.gz", CPU)
    record(trace)
    assert trace.write() is None
    assert "no trace is recorded: another profiler is at work" in caplog.text


def test_a_full_disk_does_not_end_the_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    trace = Trace(tmp_path / "taken" / "trace.json.gz", CPU)
    record(trace)
    assert trace.write() is None
    assert "no trace is written" in caplog.text
