import builtins
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from training.debugging import NO_DEBUGGER, _SmdebugDebugger, open_debugger

ROOT = Path(__file__).parents[2]
# In a process of its own: smdebug sets up logging, exit handlers and protobuf for the whole process.
SAVE_AND_READ = """
import sys
from pathlib import Path
import torch
from torch import nn
from training.debugging import open_debugger
from vision.heads import Head

out = Path(sys.argv[1])
debugger = open_debugger(out, save_interval=5)
head, criterion = Head(4, 3), nn.CrossEntropyLoss()
debugger.watch(head, criterion)
debugger.watch(head, criterion)  # the second phase of a training watches the same head again
for step in range(11):
    debugger.training()
    criterion(head(torch.randn(2, 4)), torch.tensor([0, 1])).backward()
debugger.evaluating()
with torch.no_grad():
    criterion(head(torch.randn(2, 4)), torch.tensor([0, 1]))
debugger.close()

from smdebug import modes
from smdebug.trials import create_trial
trial = create_trial(str(out))
print(sorted(trial.tensor_names()))
print(trial.tensor("CrossEntropyLoss_output_0").steps(mode=modes.TRAIN))
print(trial.tensor("gradient/Head_linear.weight").value(5, mode=modes.TRAIN).shape)
"""


# With the collections that infra/state_machine/debugger.py asks for, in the file that SageMaker makes of the request.
HOOKED = """
import json, os, sys
from pathlib import Path
import torch
from torch import nn
from training.debugging import open_debugger
from vision.heads import Head

base, own = Path(sys.argv[1], "ml"), Path(sys.argv[1], "own")
config = base / "input" / "config"
config.mkdir(parents=True)
collections = {"losses": {"train.save_interval": "50", "eval.save_interval": "1"}, "weights": {"save_interval": "50"},
    "gradients": {"save_interval": "50"}}
(config / "debughookconfig.json").write_text(json.dumps({
    "LocalPath": str(base / "output" / "tensors"), "S3OutputPath": "s3://bucket/models/job/debug-output",
    "HookParameters": None, "CollectionConfigurations": [
        {"CollectionName": name, "CollectionParameters": said} for name, said in collections.items()]}))
os.environ["SAGEMAKER_BASE_DIR"] = str(base)
debugger = open_debugger(own, save_interval=5)
head, criterion = Head(4, 3), nn.CrossEntropyLoss()
debugger.watch(head, criterion)
for step in range(101):
    debugger.training()
    criterion(head(torch.randn(2, 4)), torch.tensor([0, 1])).backward()
debugger.close()

from smdebug import modes
from smdebug.trials import create_trial
trial = create_trial(str(base / "output" / "tensors"))
print(own.exists(), trial.tensor("CrossEntropyLoss_output_0").steps(mode=modes.TRAIN),
    trial.tensor("gradient/Head_linear.weight").steps(mode=modes.TRAIN))
"""


def test_sagemaker_s_own_configuration_decides_where_there_is_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HOOKED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False [0, 50, 100] [0, 50, 100]"


def test_what_is_saved_can_be_read_with_smdebugs_trial(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAVE_AND_READ, str(tmp_path / "tensors")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names, steps, shape = done.stdout.splitlines()[-3:]
    assert names == str(
        [
            "CrossEntropyLoss_output_0",
            "Head_linear.weight",
            "gradient/Head_linear.bias",
            "gradient/Head_linear.weight",
        ]
    )
    assert steps == "[0, 5, 10]"
    assert shape == "(3, 4)"


def test_without_smdebug_training_goes_on_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    real = builtins.__import__

    def no_smdebug(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("smdebug"):
            raise ImportError("No module named 'smdebug'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_smdebug)
    assert open_debugger(tmp_path, 1) is NO_DEBUGGER
    assert "smdebug cannot be imported" in caplog.text


def test_an_error_of_the_hook_is_logged_once_and_ends_the_saving_only(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    class FullDisk:
        def register_module(self, module: nn.Module) -> None:
            calls.append("register")
            raise OSError("No space left on device")

        module_set: tuple[nn.Module, ...] = ()
        register_loss = register_module
        close = register_module

    debugger = _SmdebugDebugger.__new__(_SmdebugDebugger)
    debugger._broken, debugger._hook = False, FullDisk()
    with caplog.at_level(logging.WARNING):
        debugger.watch(nn.Linear(2, 2), nn.CrossEntropyLoss())
        debugger.close()
    assert calls == ["register"]
    assert caplog.text.count("No space left on device") == 1


def test_the_null_debugger_takes_every_call() -> None:
    NO_DEBUGGER.watch(nn.Linear(2, 2), nn.CrossEntropyLoss())
    NO_DEBUGGER.training()
    NO_DEBUGGER.evaluating()
    NO_DEBUGGER.close()
    assert torch.is_grad_enabled()
