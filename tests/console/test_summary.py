import json
from dataclasses import replace
from pathlib import Path

from console import summary
from console.results import Results
from console.summary import Options
from tests.console.samples import FAILED, TRAINING, progress, steps

OPTIONS = Options("toy", "auto", 4, None, None)
OUTPUT = {
    "hyperparameters": {"lr": "0.01", "batch-size": "64", "epochs": "5"},
    "metrics": {"final:valid_accuracy": 0.97, "final:test_accuracy": 0.96},
    "endpoint_name": "pedigree-laptop",
    "api_url": "https://localhost:4566/restapis/x/y/_user_request_",
    "sample": {"photo": "test/001.Boxer/1.jpg", "true": "Boxer", "predicted": "Boxer", "probability": 0.97},
    "data": {"counts": {"train": 8}},
    "resumed": False,
}
RESULTS = Results(
    metrics={
        "backbone": "efficientnet_lite0",
        "classes": 8,
        "hyperparameters": {"lr": 0.01, "batch_size": 64, "epochs": 5},
        "valid_accuracy": 0.9701,
        "test_accuracy": 0.9601,
    },
    manifest={"photos_left_out": [{"path": "train/a/1.jpg", "reason": "truncated"}], "photos_converted": []},
    report=Path("build/run/report.html"),
    sample=None,
)
# What the first users' scripts read.
PROMISED = {
    "execution_arn",
    "status",
    "backbone",
    "classes",
    "best_hyperparameters",
    "valid_accuracy",
    "test_accuracy",
    "endpoint_name",
    "api_url",
    "sample",
    "seconds",
}
SUCCEEDED = replace(TRAINING, status="SUCCEEDED", output=OUTPUT)


def test_a_succeeded_run_has_every_promised_key() -> None:
    content = summary.succeeded("arn", OPTIONS, SUCCEEDED, RESULTS)
    assert content.keys() >= PROMISED
    assert content["status"] == "SUCCEEDED"
    assert content["best_hyperparameters"] == {"lr": 0.01, "batch_size": 64, "epochs": 5}
    assert content["sample"]["predicted"] == "Boxer"
    assert content["seconds"] == {"Prepare": 4, "Extract features": 0, "Tune": 30, "Train": 30}
    assert content["photos_left_out"] == [{"path": "train/a/1.jpg", "reason": "truncated"}]
    json.dumps(content)


def test_accuracies_come_from_the_execution_where_the_artifact_has_none() -> None:
    content = summary.succeeded("arn", OPTIONS, SUCCEEDED, replace(RESULTS, metrics={}))
    assert (content["valid_accuracy"], content["test_accuracy"]) == (0.97, 0.96)


def test_a_failed_run_names_step_and_cause() -> None:
    content = summary.failed("arn", OPTIONS, FAILED)
    assert content["status"] == "FAILED"
    assert content["step"] == "Extract features"
    assert content["cause"] == "Extract features: killed by SIGKILL (signal 9)"


def test_the_step_of_an_aborted_execution_is_where_it_was() -> None:
    assert summary.failed_step(replace(FAILED, status="ABORTED", error="")) == "Extract features"
    assert summary.failed_step(progress(1, status="ABORTED", steps=steps())) is None


def test_a_former_run_is_put_aside_before_the_next_one(tmp_path: Path) -> None:
    summary.save(tmp_path, {"status": "SUCCEEDED"})
    (tmp_path / "report.html").write_text("old")
    summary.put_aside(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["previous"]
    assert (tmp_path / "previous" / "report.html").read_text() == "old"


def test_only_the_last_former_run_is_kept(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("first")
    summary.put_aside(tmp_path)
    summary.save(tmp_path, {"status": "FAILED"})
    summary.put_aside(tmp_path)
    assert [path.name for path in (tmp_path / "previous").iterdir()] == ["summary.json"]


def test_the_former_run_tells_how_long_the_same_takes(tmp_path: Path) -> None:
    summary.save(tmp_path, summary.succeeded("arn", OPTIONS, SUCCEEDED, RESULTS))
    assert summary.former_seconds(tmp_path, OPTIONS)["Train"] == 30
    assert summary.former_seconds(tmp_path, replace(OPTIONS, data="photos")) == {}
    summary.put_aside(tmp_path)
    assert summary.former_seconds(tmp_path, OPTIONS)["Train"] == 30


def test_a_failed_run_tells_nothing_about_time(tmp_path: Path) -> None:
    summary.save(tmp_path, summary.failed("arn", OPTIONS, FAILED))
    assert summary.former_seconds(tmp_path, OPTIONS) == {}
