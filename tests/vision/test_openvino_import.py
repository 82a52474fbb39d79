import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from vision.openvino_import import load_nncf, load_openvino

openvino, nncf = load_openvino(), load_nncf()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
print(nncf.telemetry.telemetry.__class__.__name__)
print([name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name] is not None])
"""


def test_neither_reports_to_its_makers_nor_leaves_an_identity_in_the_users_home(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="not installed here")
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NNCF_CI", "NNCF_DEV")}
    program = [sys.executable, "-c", PROGRAM]
    found = subprocess.run(
        program, env=environment | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["openvino.tools.ovc.telemetry_stub", "MagicMock", "[]"]
    # Where reporting is on, importing OpenVINO is enough to make intel/openvino_ga_cid here.
    assert not (tmp_path / "intel").exists()


SIGNALS = """
import gc, os, signal, sys
import numpy as np
from vision.openvino_import import load_openvino, signal_stack_kept

openvino = load_openvino()
import openvino.opset13 as operations

def compiled():
    given = operations.parameter([1, 3], np.float32)
    return openvino.Core().compile_model(openvino.Model([operations.relu(given)], [given], "relu"), "CPU")

with signal_stack_kept():
    first = compiled()
    second = compiled()
del first
gc.collect()
del second
gc.collect()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
os.kill(os.getpid(), signal.SIGTERM)
print(heard == [signal.SIGTERM])
"""


def test_a_signal_is_handled_after_networks_have_gone_in_the_order_of_their_coming() -> None:
    found = subprocess.run([sys.executable, "-c", SIGNALS], capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"
