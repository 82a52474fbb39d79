import pytest

from contract.metrics import read_line
from training.history import Epoch
from training.progress import Progress


def test_an_epoch_prints_its_four_metrics_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(8).epoch(Epoch(3, "fine-tune", 0.5, 0.8, 0.6, 0.75, 2.4))
    lines = capsys.readouterr().out.splitlines()
    readings = [reading for line in lines if (reading := read_line(line))]
    assert {reading.name: reading.value for reading in readings} == {
        "train:loss": 0.5,
        "train:accuracy": 0.8,
        "valid:loss": 0.6,
        "valid:accuracy": 0.75,
    }
    assert {reading.epoch for reading in readings} == {3}
    assert lines[-1].startswith("epoch 3 of 8 (fine-tune), 12 s left")
