"""What looks on in a whole training job, in a process of its own: smdebug changes the whole process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from container.failure import error_message
from tests.training.test_debugging import CONFIGURATION

ROOT = Path(__file__).parents[2]


def job(prepared: Path, program: str, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    inputs = ("--prepared", str(prepared)) + (
        ("--backbone", "efficientnet_lite0", "--model-dir", str(prepared.parent / "features"))
        if program == "extract_features"
        else ("--features", str(prepared.parent / "features"), "--model-dir", str(prepared.parent / "model"))
    )
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"training.{program}", *inputs, *options],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )


def train(prepared: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    if not (prepared.parent / "features").exists():
        done = job(prepared, "extract_features")
        assert done.returncode == 0, done.stderr
    fixed = ("--output-dir", str(prepared.parent / "output"), "--epochs", "5", "--first-trained", "blocks.6")
    return job(prepared, "train_model", *fixed, *options, **environment)


def left(prepared: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the rules' states and the severities of what they found."""
    findings = json.loads((prepared.parent / "output" / "findings.json").read_text())
    return (
        {rule["name"]: rule["state"] for rule in findings["rules"]},
        {found["rule"]: found["severity"] for found in findings["findings"]},
    )


@pytest.mark.slow
def test_a_learning_rate_of_1000_ends_the_job_with_the_finding_as_its_reason(prepared: Path) -> None:
    done = train(prepared, "--backbone-lr", "1000", "--fine-tune-epochs", "4")
    assert done.returncode == 1
    reason = error_message(done.stderr)
    assert reason.startswith("StoppedByRuleError: ")
    assert "Lower the learning rates (lr, backbone_lr)." in reason
    assert "(fine-tune)" in done.stdout
    assert "epoch 9 of 9" not in done.stdout
    states, found = left(prepared)
    assert "error" in found.values()
    assert states["LossNotDecreasing"] in ("clear", "found")
    assert not (prepared.parent / "model").exists()


@pytest.mark.slow
def test_where_it_must_not_end_the_job_the_findings_stand_in_the_metrics(prepared: Path) -> None:
    done = train(prepared, "--backbone-lr", "1000", "--fine-tune-epochs", "2", "--stop-early", "False")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((prepared.parent / "model" / "metrics.json").read_text())
    assert {found["rule"]: found["severity"] for found in metrics["findings"]} == left(prepared)[1]
    assert "error" in left(prepared)[1].values()


@pytest.mark.slow
def test_with_sagemakers_own_configuration_the_rules_look_at_what_it_asks_for(prepared: Path) -> None:
    base = prepared.parent / "ml"
    (base / "input" / "config").mkdir(parents=True)
    (base / "input" / "config" / "debughookconfig.json").write_text(CONFIGURATION.replace("/opt/ml", str(base)))
    done = train(prepared, "--fine-tune-epochs", "0", "--lr", "0.001", SAGEMAKER_BASE_DIR=str(base))
    assert done.returncode == 0, done.stderr
    states, found = left(prepared)
    assert "error" not in found.values()
    assert states["LossNotDecreasing"] == states["ExplodingTensor"] == "clear"
    assert states["DeadRelu"] == "not evaluated"


@pytest.mark.slow
def test_with_no_rules_nothing_is_saved_and_the_model_is_the_same(prepared: Path) -> None:
    weights = []
    for rules in ("none", "Overfit,UnchangedTensor"):
        checkpoints = prepared.parent / rules  # of its own, or the second training would go on where the first ended
        done = train(prepared, "--fine-tune-epochs", "1", "--rules", rules, "--checkpoint-dir", str(checkpoints))
        assert done.returncode == 0, done.stderr
        assert (checkpoints / "tensors").exists() == (rules != "none")
        weights.append((prepared.parent / "model" / "weights.pt").read_bytes())
    assert weights[0] == weights[1]
    states, _ = left(prepared)
    assert states["AllZero"] == "not evaluated"
