import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.metrics import FINAL_ERRORS, FINAL_TEST_ACCURACY, FINAL_WARNINGS, read_line
from contract.names import FOUND_FILE, ArtifactFile, OutputFile
from training import extract_features, train_model
from training.environment import JobInputError
from training.history import load_history
from vision.classifier import load_artifact
from vision.decoding import decode

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _keep_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal handler, and no smdebug, which sets up logging and exit handlers for the whole process."""
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    monkeypatch.setitem(sys.modules, "smdebug", None)


@pytest.fixture
def features(prepared: Path, tmp_path: Path) -> Path:
    options = ["--backbone", "efficientnet_lite0", "--prepared", str(prepared)]
    extract_features.main([*options, "--model-dir", str(tmp_path / "features")])
    return tmp_path / "features"


def arguments(prepared: Path, features: Path, *more: str) -> list[str]:
    root = prepared.parent
    return [
        *("--prepared", str(prepared), "--features", str(features)),
        *("--model-dir", str(root / "model"), "--output-dir", str(root / "output")),
        *("--checkpoint-dir", str(root / "checkpoints"), "--epochs", "5", *more),
    ]


def test_the_whole_training_leaves_a_model_that_serving_can_use(
    prepared: Path, features: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (prepared / "train" / "001.Red_dog" / "0.jpg").write_bytes(b"damaged since the features were made")
    train_model.main(arguments(prepared, features, "--fine-tune-epochs", "2"))
    root = prepared.parent
    too_few_photos = {ArtifactFile.INT8}
    assert {path.name for path in (root / "model").iterdir()} == {*map(str, set(ArtifactFile) - too_few_photos)}
    assert {OutputFile.METRICS, OutputFile.HISTORY, OutputFile.REPORT} <= {
        path.name for path in (root / "output").iterdir()
    }
    metrics = json.loads((root / "model" / "metrics.json").read_text())
    assert metrics == json.loads((root / "output" / "metrics.json").read_text())
    assert (metrics["backbone"], metrics["classes"], metrics["fine_tune_epochs"]) == ("efficientnet_lite0", 2, 2)
    assert "too few" in metrics["engines"]["int8"]["reason"]
    assert metrics["test_accuracy"] == 1.0
    assert metrics["photos_left_out"] == ["train/001.Red_dog/0.jpg"]
    assert set(metrics["verdict"]) == {"kind", "text", "advice"}
    history = load_history(root / "output" / "history.json")
    assert [row.phase for row in history] == ["probe"] * 5 + ["fine-tune"] * 2
    readings = [reading for line in capsys.readouterr().out.splitlines() if (reading := read_line(line))]
    assert (readings[-1].name, readings[-1].value) == (FINAL_TEST_ACCURACY.name, 1.0)
    severities = [finding["severity"] for finding in metrics["findings"]]
    said = {reading.name: reading.value for reading in readings}
    assert said[FINAL_ERRORS.name] == severities.count("error") == 0
    assert said[FINAL_WARNINGS.name] == severities.count("warning")
    model = load_artifact(root / "model")
    red = decode((prepared / "test" / "001.Red_dog" / "1.jpg").read_bytes())
    assert model.classes.labels[int(model.probabilities(red).argmax())] == "Red dog"


def test_without_fine_tuning_the_fitted_head_is_the_model(prepared: Path, features: Path) -> None:
    train_model.main(arguments(prepared, features, "--fine-tune-epochs", "0"))
    history = load_history(prepared.parent / "output" / "history.json")
    assert {row.phase for row in history} == {"probe"}
    assert [path.name for path in (prepared.parent / "checkpoints").iterdir()] == [FOUND_FILE]


def test_features_of_other_photos_are_refused(prepared: Path, features: Path) -> None:
    summary = prepared / "summary.json"
    summary.write_text(summary.read_text().replace("f" * 64, "e" * 64))
    with pytest.raises(JobInputError, match=r"are of other photos \(fingerprint f+\).*\(e+\)"):
        train_model.main(arguments(prepared, features))


def test_features_of_other_classes_are_refused(prepared: Path, features: Path) -> None:
    for split in ("train", "valid", "test"):
        (prepared / split / "002.Blue_dog").rename(prepared / split / "002.Green_dog")
    with pytest.raises(JobInputError, match=r"other classes .*002.Blue_dog, 002.Green_dog"):
        train_model.main(arguments(prepared, features))


def test_features_of_other_weights_are_refused(prepared: Path, features: Path) -> None:
    spec = json.loads((features / "features.json").read_text())
    (features / "features.json").write_text(json.dumps({**spec, "weights_digest": "0" * 16}))
    with pytest.raises(JobInputError, match="are not those that the features were made with"):
        train_model.main(arguments(prepared, features))


@pytest.mark.parametrize(
    "options", [("--fine-tune-epochs", "-1"), ("--backbone-lr", "0"), ("--fine-tune-views", "-2"), ("--epochs", "99")]
)
def test_an_impossible_option_is_refused(prepared: Path, tmp_path: Path, options: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        train_model.main(arguments(prepared, tmp_path, *options))


def start(prepared: Path, features: Path) -> "subprocess.Popen[str]":
    command = [
        *(sys.executable, "-W", "ignore", "training/train_model.py"),
        *arguments(prepared, features, "--fine-tune-epochs", "400", "--fine-tune-views", "1"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(process: "subprocess.Popen[str]", text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    deadline = time.monotonic() + 240
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
        if time.monotonic() > deadline:
            break
    raise AssertionError("".join(lines[-30:]))


@pytest.mark.slow
def test_killed_and_started_again_it_continues_with_the_next_epoch(prepared: Path, features: Path) -> None:
    first = start(prepared, features)
    wait_for(first, "epoch 8 of 405")
    first.kill()
    first.communicate()
    checkpoints = sorted((prepared.parent / "checkpoints").glob("*.pt"))
    newest = int(checkpoints[-1].stem[-3:])
    second = start(prepared, features)
    wait_for(second, f"resumed from the checkpoint of fine-tuning epoch {newest} of 400")
    wait_for(second, f"epoch {5 + newest + 1} of 405")
    second.send_signal(signal.SIGTERM)
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 143
    assert "stopped as asked by SIGTERM" in output
    assert not (prepared.parent / "model").exists()


def test_an_unknown_rule_is_refused_with_those_that_there_are(
    prepared: Path, features: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train_model.main(arguments(prepared, features, "--rules", "Overfit,Underfit"))
    assert "argument --rules: Underfit: some of AllZero, " in capsys.readouterr().err
