"""The event files, read back record by record; and by TensorBoard itself where ``TRACKING_PYTHON`` names an
interpreter that has it (its protobuf and smdebug's do not fit into one environment)."""

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from training import tensorboard
from training.tensorboard import open_tensorboard

OTHER_PYTHON: Final = os.environ.get("TRACKING_PYTHON")
READER: Final = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
scalars = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
print(json.dumps([scalars, texts]))
"""


def written(folder: Path) -> Path:
    board = open_tensorboard(folder)
    assert board is not None
    board.epoch(1, {"loss/train": 0.5, "loss/valid": 0.75})
    board.epoch(2, {"loss/train": 0.25, "loss/valid": 0.625})
    board.result({"lr": "0.01", "backbone": "resnet50"}, {"final/test_accuracy": 0.875}, None)
    board.close(True)
    return folder


def records(file: Path) -> list[bytes]:
    """Return the records of an event file: length, its checksum, the record, its checksum."""
    data, found = file.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        found.append(data[12 : 12 + length])
        data = data[12 + length + 4 :]
    return found


def test_the_event_file_holds_every_number_at_its_epoch(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event  # type: ignore[import-untyped]

    (file,) = written(tmp_path).iterdir()
    events = [Event.FromString(record) for record in records(file)]
    scalars = [(v.tag, e.step, v.simple_value) for e in events for v in e.summary.value if v.HasField("simple_value")]
    assert scalars == [
        ("loss/train", 1, 0.5),
        ("loss/valid", 1, 0.75),
        ("loss/train", 2, 0.25),
        ("loss/valid", 2, 0.625),
        ("final/test_accuracy", 0, 0.875),
    ]


def test_an_epoch_can_be_seen_before_the_training_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "_SECONDS", 0.01)
    board = open_tensorboard(tmp_path)
    assert board is not None
    board.epoch(1, {"loss/train": 0.5})
    (file,) = tmp_path.iterdir()
    while b"loss/train" not in file.read_bytes():  # pytest ends a test that waits for ever
        time.sleep(0.01)
    board.close(False)


@pytest.mark.slow
@pytest.mark.skipif(OTHER_PYTHON is None, reason="TRACKING_PYTHON names no interpreter with tensorboard")
def test_tensorboard_reads_the_event_file(tmp_path: Path) -> None:
    command = [str(OTHER_PYTHON), "-c", READER, str(written(tmp_path))]
    scalars, texts = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert scalars == {
        "loss/train": [[1, 0.5], [2, 0.25]],
        "loss/valid": [[1, 0.75], [2, 0.625]],
        "final/test_accuracy": [[0, 0.875]],
    }
    assert "| lr | 0.01 |" in texts["choices/text_summary"]


def test_without_the_package_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert open_tensorboard(tmp_path) is None
    assert "no TensorBoard files: " in capsys.readouterr().out
