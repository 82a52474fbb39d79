import json
import platform

import pytest
import torch

from training.provenance import PACKAGES, device_name, surroundings, versions


def test_it_names_what_the_numbers_depend_on() -> None:
    found = surroundings()
    assert found["threads"] == torch.get_num_threads()
    assert found["platform"] == platform.platform()
    assert json.loads(json.dumps(found)) == found


def test_python_and_every_package_have_a_version() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert torch.__version__.startswith(found["torch"])
    assert found.keys() == {"python", *PACKAGES}


def test_a_package_that_is_not_there_is_said_not_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.provenance.PACKAGES", ("no-such-package",))
    assert versions()["no-such-package"] == "not installed"


def test_a_gpu_is_called_by_its_name_and_a_cpu_by_its_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_name() == f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H200")
    assert device_name() == "NVIDIA H200"
