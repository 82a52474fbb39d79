"""A run on an MLflow server, by MLflow's REST API.

The package mlflow-skinny would bring databricks-sdk, fastapi, OpenTelemetry and a dozen more into every job, for the
few requests below. Whom to log in as says MLflow's own environment: MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; the experiment's name is MLFLOW_EXPERIMENT_NAME.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests

from contract.names import PROJECT
from training.files import write_text
from training.progress import say

# To connect, and to wait for an answer.
_SECONDS: Final = (3.05, 10.0)
# MLflow takes 1,000 metrics and 100 parameters in one request, and 500 characters a parameter in its older releases.
_MOST_METRICS: Final = 1000
_MOST_PARAMETERS: Final = 100
_LONGEST: Final = 500
_UPLOADS: Final = "mlflow-artifacts:/"


class MlflowError(Exception):
    """The server cannot be reached, or has refused a request."""


class Server:
    """Asks an MLflow server. ``shown`` is its address without the password that may stand in it."""

    def __init__(self, uri: str) -> None:
        address = urlsplit(uri)
        self.shown = f"{address.scheme}://{address.hostname}{f':{address.port}' if address.port else ''}{address.path}"
        self._base = uri.rstrip("/")
        self._session = requests.Session()
        if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
            self._session.auth = (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
        elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return the server's answer, whatever its status.

        Raises:
            MlflowError: it cannot be reached.
        """
        try:
            return self._session.request(method, f"{self._base}/api/2.0/{path}", timeout=_SECONDS, **options)
        except requests.RequestException as error:
            # Its text would hold the address, and so perhaps a password.
            raise MlflowError(f"{self.shown} cannot be reached ({type(error).__name__})") from None

    def post(self, path: str, **body: Any) -> Any:
        """Return the JSON answer to a request that has to succeed.

        Raises:
            MlflowError: it did not.
        """
        return read(self.ask("POST", f"mlflow/{path}", json=body), self.shown)


def _check(answer: requests.Response, shown: str) -> None:
    if not answer.ok:
        raise MlflowError(f"{shown} answered {answer.status_code}: {answer.text[:200]}")


def read(answer: requests.Response, shown: str) -> Any:
    """Return the JSON of an answer.

    Raises:
        MlflowError: it is a refusal, or no JSON.
    """
    _check(answer, shown)
    try:
        return answer.json()
    except requests.JSONDecodeError as error:
        raise MlflowError(f"{shown} is no MLflow server: its answer is no JSON") from error


class MlflowRun:
    """One run. Metrics that could not be sent are sent with the next ones."""

    name = "MLflow"

    def __init__(self, server: Server, run_id: str, artifacts: str, run_file: Path) -> None:
        self._server, self._run_id, self._artifacts, self._run_file = server, run_id, artifacts, run_file
        self._unsent: list[dict[str, Any]] = []

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Send the numbers of one epoch; while the server is away, keep them."""
        self._keep(step, values)
        try:
            self._send()
        except MlflowError as error:
            say(f"MLflow: {len(self._unsent)} numbers are kept for later: {error}")

    def result(self, choices: Mapping[str, str], values: Mapping[str, float], report: Path | None) -> None:
        """Send choices, results and report."""
        self._keep(0, values)
        self._send()
        given = [{"key": name, "value": value[:_LONGEST]} for name, value in choices.items()]
        for start in range(0, len(given), _MOST_PARAMETERS):
            self._log(params=given[start : start + _MOST_PARAMETERS])
        if report is not None:
            self._upload(report)

    def close(self, succeeded: bool) -> None:
        """Send what is left and end the run; one that succeeded is not gone on with."""
        self._send()
        status = "FINISHED" if succeeded else "FAILED"
        self._server.post("runs/update", run_id=self._run_id, status=status, end_time=_now())
        if succeeded:
            self._run_file.unlink(missing_ok=True)

    def _keep(self, step: int, values: Mapping[str, float]) -> None:
        now = _now()
        self._unsent += [{"key": key, "value": value, "timestamp": now, "step": step} for key, value in values.items()]

    def _send(self) -> None:
        while some := self._unsent[:_MOST_METRICS]:
            self._log(metrics=some)
            del self._unsent[: len(some)]

    def _log(self, **items: Any) -> None:
        self._server.post("runs/log-batch", run_id=self._run_id, **items)

    def _upload(self, report: Path) -> None:
        """Upload by the server, where it takes uploads; else it keeps artifacts where only its own client gets them."""
        if not self._artifacts.startswith(_UPLOADS):
            say(f"MLflow: the report is not uploaded, for artifacts stand outside the server ({self._artifacts})")
            return
        folder = urlsplit(self._artifacts).path.strip("/")
        path = f"mlflow-artifacts/artifacts/{quote(folder)}/{quote(report.name)}"
        headers = {"Content-Type": "text/html"}
        try:
            _check(self._server.ask("PUT", path, data=report.read_bytes(), headers=headers), self._server.shown)
        except (MlflowError, OSError) as error:  # the run is worth having without it
            say(f"MLflow: the report is not uploaded: {error}")


def _now() -> int:
    """Return the time as MLflow counts it, in milliseconds."""
    return time.time_ns() // 1_000_000


def open_mlflow(uri: str | None, run_file: Path) -> MlflowRun | None:
    """Return a new run, or the one whose id ``run_file`` holds; None where no server is named, or one of another kind.

    Raises:
        MlflowError: the server cannot be used.
    """
    if not uri:
        return None
    if urlsplit(uri).scheme not in ("http", "https"):
        say("no MLflow run: its address begins with neither http:// nor https://, the only ones that a job can log to")
        return None
    server = Server(uri)
    run = _resumed(server, run_file) or _created(server, run_file)
    say(f"MLflow run {run['run_id']} on {server.shown}")
    return MlflowRun(server, run["run_id"], run.get("artifact_uri", ""), run_file)


def _created(server: Server, run_file: Path) -> Mapping[str, Any]:
    name = os.environ.get("TRAINING_JOB_NAME", PROJECT)
    experiment = _experiment(server, os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT)
    made = server.post("runs/create", experiment_id=experiment, run_name=name, start_time=_now())
    run: Mapping[str, Any] = made["run"]["info"]
    run_file.parent.mkdir(parents=True, exist_ok=True)
    write_text(run_file, run["run_id"])
    return run


def _resumed(server: Server, run_file: Path) -> Mapping[str, Any] | None:
    """Return the run of an earlier attempt of this training, running again; None where there is none."""
    if not run_file.is_file():
        return None
    run_id = run_file.read_text(encoding="utf-8").strip()
    answer = server.ask("POST", "mlflow/runs/update", json={"run_id": run_id, "status": "RUNNING"})
    if not answer.ok:  # deleted there, or of another server
        return None
    info: Mapping[str, Any] = read(answer, server.shown)["run_info"]
    return info


def _experiment(server: Server, name: str) -> str:
    found = server.ask("GET", "mlflow/experiments/get-by-name", params={"experiment_name": name})
    if found.ok:
        return str(read(found, server.shown)["experiment"]["experiment_id"])
    return str(server.post("experiments/create", name=name)["experiment_id"])
