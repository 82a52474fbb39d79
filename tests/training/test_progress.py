import contextlib
import io
import threading
import time

import pytest

from contract.metrics import read_line
from training.history import Epoch
from training.progress import Progress, say


def test_an_epoch_prints_its_four_metrics_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(5, 3).epoch(Epoch(6, "fine-tune", 0.5, 0.8, 0.6, 0.75, 6.0))
    lines = capsys.readouterr().out.splitlines()
    readings = [reading for line in lines if (reading := read_line(line))]
    assert {reading.name: reading.value for reading in readings} == {
        "train:loss": 0.5,
        "train:accuracy": 0.8,
        "valid:loss": 0.6,
        "valid:accuracy": 0.75,
    }
    assert {reading.epoch for reading in readings} == {6}
    assert lines[-1].startswith("epoch 6 of 8, 12 s left (fine-tune)")


def test_the_short_phase_says_nothing_about_the_time_of_the_long_one(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(5, 3).epoch(Epoch(1, "probe", 0.5, 0.8, 0.6, 0.75, 0.01))
    assert "left" not in capsys.readouterr().out
    Progress(5).epoch(Epoch(1, "probe", 0.5, 0.8, 0.6, 0.75, 0.5))
    assert "epoch 1 of 5, 2 s left" in capsys.readouterr().out


class Slow(io.StringIO):
    """Takes its time before every write, in which others write."""

    def write(self, text: str) -> int:
        time.sleep(0.01)
        return super().write(text)


def test_threads_that_speak_at_once_have_a_line_each() -> None:
    lines = [f"left out {number}" for number in range(8)]
    with contextlib.redirect_stdout(Slow()) as log:
        threads = [threading.Thread(target=say, args=(line,)) for line in lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(log.getvalue().splitlines()) == lines
