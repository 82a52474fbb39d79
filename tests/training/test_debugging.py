import builtins
import json
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
TRAIN = """
import json, os, sys
from pathlib import Path
import torch
from torch import nn
from training.debugging import open_debugger

torch.manual_seed(0)

def step(debugger, network, training=True):
    debugger.begin(training=training)
    for part in range(2):  # micro-batches
        logits = network(torch.randn(3, 4))
        loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2]))
        if training:
            loss.backward()
        debugger.batch(logits, torch.tensor([0, 1, 2]), loss)
    debugger.end()

def network():
    return nn.Sequential(nn.Linear(4, 600), nn.ReLU(inplace=True), nn.Linear(600, 3))

def read(folder):
    from smdebug.trials import create_trial
    return create_trial(str(folder))
"""
SAVE_AND_READ = (
    TRAIN
    + """
out, net, other = Path(sys.argv[1]), network(), nn.Linear(4, 3)
debugger = open_debugger(out, save_interval=5)
debugger.watch(other)
step(debugger, other)
debugger.watch(net)
for _ in range(10):
    net.zero_grad()
    step(debugger, net)
gradient = net[0].weight.grad.abs().mean().item()
step(debugger, net, training=False)
debugger.close()
assert not net[1]._forward_hooks

from smdebug import modes
trial = read(out)
print(json.dumps({
    "names": trial.tensor_names(),
    "training": trial.tensor("CrossEntropyLoss_output_0").steps(mode=modes.TRAIN),
    "evaluations": trial.tensor("CrossEntropyLoss_output_0").steps(mode=modes.EVAL),
    "weights": trial.tensor("Sequential_0.weight").steps(),
    "labels": trial.tensor("labels").value(10, mode=modes.TRAIN).tolist(),
    "gradient": [gradient, float(trial.tensor("gradient/Sequential_0.weight").reduction_value(10, "mean", abs=True))],
    "sample": trial.tensor("sample/Sequential_2.weight").value(5).shape,
    "whole": sorted(str(key) for key in trial.tensor("Sequential_2.weight").reduction_values(5)),
    "relu": trial.tensor("Sequential_1_relu_output_0").value(5).shape,
    "least": [float(trial.tensor(f"Sequential_1_relu_{side}_0").value(5).min()) for side in ("input", "output")],
}))
"""
)
# With the collections that infra/state_machine/debugger.py asks for, in the file that SageMaker makes of the request.
CONFIGURED = (
    TRAIN
    + """
from tests.training.test_debugging import CONFIGURATION
base, own = Path(sys.argv[1], "ml"), Path(sys.argv[1], "own")
config = base / "input" / "config"
config.mkdir(parents=True)
(config / "debughookconfig.json").write_text(CONFIGURATION.replace("/opt/ml", str(base)))
os.environ["SAGEMAKER_BASE_DIR"] = str(base)
net = network()
debugger = open_debugger(own, save_interval=5)
debugger.watch(net)
for _ in range(101):
    step(debugger, net)
debugger.close()
from smdebug import modes
trial = read(base / "output" / "tensors")
print(own.exists(), debugger.folder == base / "output" / "tensors",
    trial.tensor("CrossEntropyLoss_output_0").steps(mode=modes.TRAIN),
    trial.tensor("gradient/Sequential_0.weight").steps(mode=modes.TRAIN),
    trial.tensor("Sequential_0.weight").value(50).shape, "labels" in trial.tensor_names())
"""
)
AGAIN = (
    TRAIN
    + """
out, net = Path(sys.argv[1]), network()
for steps in (9, 2):
    debugger = open_debugger(out, save_interval=4)
    debugger.watch(net)
    for _ in range(steps):
        step(debugger, net)
    debugger.close()
print(read(out).tensor("CrossEntropyLoss_output_0").steps())
"""
)
RESUMED = (
    TRAIN
    + """
out, net = Path(sys.argv[1]), network()
debugger = open_debugger(out, save_interval=4)
debugger.watch(net)
step(debugger, net)
debugger.skip(training=7, evaluations=2)
step(debugger, net)
step(debugger, net, training=False)
debugger.close()
from smdebug import modes
loss = read(out).tensor("CrossEntropyLoss_output_0")
print(loss.steps(mode=modes.TRAIN), loss.steps(mode=modes.EVAL))
"""
)
CONFIGURATION = json.dumps(
    {
        "S3OutputPath": "s3://bucket/models/job/debug-output",
        "LocalPath": "/opt/ml/output/tensors",
        "HookParameters": None,
        "CollectionConfigurations": [
            {
                "CollectionName": "losses",
                "CollectionParameters": {"train.save_interval": "50", "eval.save_interval": "1"},
            },
            {"CollectionName": "weights", "CollectionParameters": {"save_interval": "50"}},
            {"CollectionName": "gradients", "CollectionParameters": {"save_interval": "50"}},
        ],
    }
)


def last_line_of(program: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_sagemaker_s_own_configuration_decides_where_there_is_one(tmp_path: Path) -> None:
    assert last_line_of(CONFIGURED, tmp_path) == "False True [0, 50, 100] [0, 50, 100] (600, 4) False"


def test_what_is_saved_can_be_read_with_smdebugs_trial(tmp_path: Path) -> None:
    read = json.loads(last_line_of(SAVE_AND_READ, tmp_path / "tensors"))
    assert set(read["names"]) >= {
        "CrossEntropyLoss_output_0",
        "Linear_weight",
        "Sequential_2.bias",
        "gradient/Sequential_0.weight",
        "labels",
        "predictions",
        "sample/gradient/Sequential_0.weight",
    }
    assert read["training"] == list(range(11))
    assert read["evaluations"] == [0]
    assert read["weights"] == [5, 10]  # another module's before
    assert read["labels"] == [0, 1, 2, 0, 1, 2]
    assert read["gradient"][0] == pytest.approx(read["gradient"][1])
    assert read["sample"] == [450]
    assert read["whole"] == [
        "('max', False)",
        "('mean', False)",
        "('mean', True)",
        "('min', False)",
        "('std', False)",
    ]
    assert read["relu"] == [3, 200]
    assert read["least"][0] < 0 == read["least"][1]


def test_steps_go_on_where_an_interrupted_attempt_has_stopped(tmp_path: Path) -> None:
    assert last_line_of(RESUMED, tmp_path / "tensors") == "[0, 8] [2]"


def test_a_run_that_saves_to_the_same_place_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    assert last_line_of(AGAIN, tmp_path / "tensors") == "[0, 1]"


def test_without_smdebug_training_goes_on_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    real = builtins.__import__

    def no_smdebug(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("smdebug"):
            raise ImportError("No module named 'smdebug'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_smdebug)
    monkeypatch.delitem(sys.modules, "training.debugger_hook", raising=False)
    debugger = open_debugger(tmp_path, 1)
    assert debugger.folder is None
    assert "smdebug cannot be imported" in debugger.reason
    assert "smdebug cannot be imported" in caplog.text


def test_an_error_of_the_hook_is_logged_once_and_ends_the_saving_only(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    class FullDisk:
        out_dir = "/nowhere"

        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            raise OSError("No space left on device")

    debugger = _SmdebugDebugger(FullDisk(), lambda: None)
    network = nn.Linear(2, 2)
    with caplog.at_level(logging.WARNING):
        debugger.watch(network)
        for _ in range(2):
            debugger.begin()
            debugger.batch(network(torch.zeros(1, 2)), torch.tensor([0]))
            debugger.end()
        debugger.close()
    assert calls == ["set_mode"]
    assert caplog.text.count("No space left on device") == 1


def test_the_null_debugger_takes_every_call() -> None:
    NO_DEBUGGER.watch(nn.Linear(2, 2))
    NO_DEBUGGER.begin()
    NO_DEBUGGER.batch(torch.zeros(1, 2), torch.tensor([0]))
    NO_DEBUGGER.end()
    NO_DEBUGGER.skip(1, 1)
    NO_DEBUGGER.close()
    assert torch.is_grad_enabled()
