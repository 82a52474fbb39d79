"""The client against a small server that answers as MLflow does; and against MLflow itself where ``TRACKING_PYTHON``
names an interpreter that has it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from tests.training.fake_mlflow import FakeMlflow
from training.mlflow_run import MlflowError, MlflowRun, open_mlflow

OTHER_PYTHON: Final = os.environ.get("TRACKING_PYTHON")


def opened(uri: str, folder: Path) -> MlflowRun:
    run = open_mlflow(uri, folder / "run")
    assert run is not None
    return run


def test_a_training_becomes_a_run_with_metrics_choices_and_report(server: FakeMlflow, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>the report</p>")
    run = opened(server.uri, tmp_path)
    run.epoch(1, {"loss/train": 0.5})
    run.result({"lr": "0.01", "long": "x" * 900}, {"final/test_accuracy": 0.9}, tmp_path / "report.html")
    run.close(True)
    assert [path.removeprefix("/api/2.0/") for _, path, _ in server.requests] == [
        "mlflow/experiments/get-by-name",
        "mlflow/experiments/create",
        "mlflow/runs/create",
        "mlflow/runs/log-batch",
        "mlflow/runs/log-batch",
        "mlflow/runs/log-batch",
        "mlflow-artifacts/artifacts/7/r1/artifacts/report.html",
        "mlflow/runs/update",
    ]
    first, result, choices = server.bodies("log-batch")
    assert [(m["key"], m["value"], m["step"]) for m in first["metrics"]] == [("loss/train", 0.5, 1)]
    assert [(m["key"], m["value"]) for m in result["metrics"]] == [("final/test_accuracy", 0.9)]
    assert choices["params"] == [{"key": "lr", "value": "0.01"}, {"key": "long", "value": "x" * 500}]
    assert server.bodies("report.html") == [b"<p>the report</p>"]
    assert server.bodies("runs/update")[0]["status"] == "FINISHED"


def test_what_could_not_be_sent_is_sent_with_the_next_epoch(
    server: FakeMlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = opened(server.uri, tmp_path)
    server.refused = {"/api/2.0/mlflow/runs/log-batch"}
    run.epoch(1, {"loss/train": 0.5})
    assert "MLflow: 1 numbers are kept for later" in capsys.readouterr().out
    server.refused = set()
    run.epoch(2, {"loss/train": 0.25})
    assert [metric["step"] for metric in server.bodies("log-batch")[-1]["metrics"]] == [1, 2]
    run.epoch(3, {"loss/train": 0.125})
    assert [metric["step"] for metric in server.bodies("log-batch")[-1]["metrics"]] == [3]


def test_a_training_that_is_resumed_goes_on_with_its_run(server: FakeMlflow, tmp_path: Path) -> None:
    opened(server.uri, tmp_path)
    server.answers["/api/2.0/mlflow/runs/update"] = {"run_info": {"run_id": "r1"}}
    opened(server.uri, tmp_path).epoch(1, {"loss/train": 0.5})
    assert len(server.bodies("runs/create")) == 1
    assert server.bodies("runs/update") == [{"run_id": "r1", "status": "RUNNING"}]
    assert server.bodies("log-batch")[0]["run_id"] == "r1"


def test_the_next_training_has_a_run_of_its_own(server: FakeMlflow, tmp_path: Path) -> None:
    opened(server.uri, tmp_path).close(True)
    opened(server.uri, tmp_path)
    assert len(server.bodies("runs/create")) == 2


def test_a_run_that_the_server_no_longer_has_is_made_anew(server: FakeMlflow, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("gone")
    server.refused = {"/api/2.0/mlflow/runs/update"}
    opened(server.uri, tmp_path)
    assert (tmp_path / "run").read_text() == "r1"


def test_a_failed_training_is_a_failed_run(server: FakeMlflow, tmp_path: Path) -> None:
    opened(server.uri, tmp_path).close(False)
    assert server.bodies("runs/update")[0]["status"] == "FAILED"


def test_a_report_that_the_server_would_not_keep_is_said_not_to_be_there(
    server: FakeMlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = server.answers["/api/2.0/mlflow/runs/create"]["run"]["info"]
    made["artifact_uri"] = "s3://bucket/7/r1"
    opened(server.uri, tmp_path).result({}, {}, tmp_path / "report.html")
    assert "artifacts stand outside the server (s3://bucket/7/r1)" in capsys.readouterr().out


def test_an_upload_that_fails_leaves_the_run_finished(
    server: FakeMlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").write_text("<p>the report</p>")
    server.refused = {"/api/2.0/mlflow-artifacts/artifacts/7/r1/artifacts/report.html"}
    run = opened(server.uri, tmp_path)
    run.result({}, {}, tmp_path / "report.html")
    run.close(True)
    assert "the report is not uploaded: " in capsys.readouterr().out
    assert server.bodies("runs/update")[0]["status"] == "FINISHED"


def test_the_token_of_the_environment_is_sent(
    server: FakeMlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    opened(server.uri, tmp_path)
    assert all(headers["Authorization"] == "Bearer secret" for headers in server.headers)


def test_a_server_that_is_something_else_is_refused(server: FakeMlflow, tmp_path: Path) -> None:
    server.refused = {"/api/2.0/mlflow/experiments/create"}
    with pytest.raises(MlflowError, match="answered 503"):
        open_mlflow(server.uri, tmp_path / "run")


@pytest.mark.parametrize(
    "uri", ["file:///tmp/mlruns", "databricks", "arn:aws:sagemaker:eu-west-1:1:mlflow-tracking-server/x"]
)
def test_other_kinds_of_addresses_are_said_not_to_be_used(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_mlflow(uri, tmp_path / "run") is None
    assert capsys.readouterr().out.startswith("no MLflow run: ")


@pytest.mark.parametrize("uri", [None, ""])
def test_without_an_address_nothing_is_said(
    uri: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_mlflow(uri, tmp_path / "run") is None
    assert capsys.readouterr().out == ""


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[str]:
    """Start a real MLflow server with a database and artifacts of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    stores = [f"--backend-store-uri=sqlite:///{tmp_path}/ml.db", f"--artifacts-destination={tmp_path}/kept"]
    command = [
        str(OTHER_PYTHON),
        "-m",
        "mlflow",
        "server",
        *stores,
        "--host=127.0.0.1",
        f"--port={port}",
        "--workers=1",
    ]
    uri = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        while True:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                requests.get(f"{uri}/health", timeout=1).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.5)
        yield uri
        process.terminate()


@pytest.mark.slow
@pytest.mark.skipif(OTHER_PYTHON is None, reason="TRACKING_PYTHON names no interpreter with mlflow")
def test_mlflow_itself_keeps_the_run(mlflow: str, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>the report</p>")
    run = opened(mlflow, tmp_path)
    run.epoch(1, {"loss/train": 0.5})
    run = opened(mlflow, tmp_path)  # a resumed training
    run.epoch(2, {"loss/train": 0.25})
    run.result({"lr": "0.01"}, {"final/test_accuracy": 0.9}, tmp_path / "report.html")
    run_id = (tmp_path / "run").read_text()
    run.close(True)

    def asked(path: str, **parameters: str) -> Any:
        answer = requests.get(f"{mlflow}/api/2.0/mlflow/{path}", params={"run_id": run_id, **parameters}, timeout=30)
        answer.raise_for_status()
        return answer.json()

    kept = asked("runs/get")["run"]
    assert kept["info"]["status"] == "FINISHED"
    assert {m["key"]: m["value"] for m in kept["data"]["metrics"]} == {"loss/train": 0.25, "final/test_accuracy": 0.9}
    assert kept["data"]["params"] == [{"key": "lr", "value": "0.01"}]
    history = asked("metrics/get-history", metric_key="loss/train")["metrics"]
    assert [(m["step"], m["value"]) for m in history] == [(1, 0.5), (2, 0.25)]
    assert [file["path"] for file in asked("artifacts/list")["files"]] == ["report.html"]
    assert [path.read_text() for path in tmp_path.glob("kept/**/report.html")] == ["<p>the report</p>"]
