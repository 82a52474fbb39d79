import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console import run as running
from console.deployment import Deployment
from console.errors import ConsoleError
from console.interrupts import Interrupted
from console.progress import Progress
from console.project import Project
from console.run import Run
from console.screen import Screen
from console.stacks import Deployed
from console.summary import Options
from tests.console.fakes import FakeCloud
from tests.console.samples import FAILED
from tests.console.test_findings import WARNING
from tests.console.test_summary import RESULTS, SUCCEEDED

ARN = "arn:aws:states:us-east-1:000000000000:execution:machine:run-1"
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:machine"
STAGE = Deployed("bucket", MACHINE, "pedigree-laptop", "https://api/v1", "key")


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, cloud: FakeCloud) -> list[Any]:
    """Deployed already; the execution comes to what the test puts here."""
    outcome: list[Any] = []

    def follow(*_: Any) -> Progress:
        result = outcome.pop()
        if isinstance(result, BaseException):
            raise result
        assert isinstance(result, Progress)
        return result

    monkeypatch.setattr(running, "follow", follow)
    monkeypatch.setattr(running, "fetch", lambda *_: RESULTS)
    monkeypatch.setattr(running, "deployed", lambda _: STAGE)
    monkeypatch.setattr(Deployment, "ensure", lambda _: None)
    cloud.stub("stepfunctions").add_response("start_execution", {"executionArn": ARN, "startDate": SUCCEEDED.started})
    return outcome


def _run(project: Project, cloud: FakeCloud, screen: Screen, data: str = "toy") -> None:
    Run(project, cloud, screen, Options(data, "auto", 4, None, None))()


def _summary(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.run / "summary.json").read_text())
    return found


def test_a_run_ends_with_the_photo_the_report_and_what_to_do_next(
    project: Project, cloud: FakeCloud, screen: Screen, written: io.StringIO, outcome: list[Any]
) -> None:
    outcome.append(SUCCEEDED)
    _run(project, cloud, screen)
    text = written.getvalue()
    assert "True:      Boxer\nPredicted: Boxer (97.0 %)" in text
    assert "Test accuracy: 96.0 %" in text
    assert "Photo left out: train/a/1.jpg (truncated)" in text
    assert "Report:    build/run/report.html" in text
    assert "make up" in text
    assert _summary(project)["status"] == "SUCCEEDED"
    assert _summary(project)["api_url"] == "https://api/v1"
    assert not cloud.is_started


def test_a_failed_run_says_step_and_cause_once_and_leaves_no_old_report(
    project: Project, cloud: FakeCloud, screen: Screen, outcome: list[Any]
) -> None:
    project.run.mkdir(parents=True)
    (project.run / "report.html").write_text("of a former run")
    outcome.append(FAILED)
    with pytest.raises(ConsoleError) as caught:
        _run(project, cloud, screen)
    assert caught.value.message == "The execution failed in step Extract features: killed by SIGKILL (signal 9)"
    assert _summary(project)["status"] == "FAILED"
    assert not (project.run / "report.html").exists()
    assert not cloud.is_started


def test_ctrl_c_while_watching_stops_the_execution_and_the_cloud(
    project: Project, cloud: FakeCloud, screen: Screen, written: io.StringIO, outcome: list[Any]
) -> None:
    outcome.append(Interrupted())
    cloud.stub("stepfunctions").add_response("stop_execution", {"stopDate": SUCCEEDED.now})
    with pytest.raises(Interrupted):
        _run(project, cloud, screen)
    cloud.stub("stepfunctions").assert_no_pending_responses()
    assert "Execution stopped" in written.getvalue()
    assert not cloud.is_started


def test_an_execution_that_cannot_be_stopped_is_said_so(
    project: Project, cloud: FakeCloud, screen: Screen, written: io.StringIO, outcome: list[Any]
) -> None:
    outcome.append(Interrupted())
    cloud.stub("stepfunctions").add_client_error("stop_execution", "AccessDenied", "not allowed")
    with pytest.raises(Interrupted):
        _run(project, cloud, screen)
    assert "Could not stop" in written.getvalue()
    assert "not allowed" in written.getvalue()


def _listen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the list in which the inputs of started executions will stand."""
    told: list[dict[str, Any]] = []

    def start(_cloud: FakeCloud, _arn: str, given: dict[str, Any]) -> str:
        told.append(given)
        return ARN

    monkeypatch.setattr("console.execution.start", start)
    return told


def test_only_what_was_asked_for_is_told_to_the_state_machine(
    project: Project, cloud: FakeCloud, screen: Screen, outcome: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _listen(monkeypatch)
    outcome.append(SUCCEEDED)
    _run(project, cloud, screen)
    assert told == [{"source": "toy", "backbone": "auto", "trials": 4}]


def test_a_folder_is_uploaded_and_told_with_its_fingerprint(
    project: Project,
    cloud: FakeCloud,
    screen: Screen,
    outcome: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_bytes(b"x")
    told = _listen(monkeypatch)
    cloud.stub("s3").add_response("head_object", {})
    outcome.append(SUCCEEDED)
    _run(project, cloud, screen, str(tmp_path / "photos"))
    fingerprint = told[0]["source_fingerprint"]
    assert told[0]["source"] == f"s3://bucket/datasets/{fingerprint}.zip"


def test_nothing_is_started_for_a_folder_that_is_not_there(project: Project, cloud: FakeCloud, screen: Screen) -> None:
    with pytest.raises(ConsoleError, match="no such folder"):
        _run(project, cloud, screen, "nowhere")
    assert not cloud.is_started


def test_warnings_of_the_rules_are_told_with_where_to_read_on(
    project: Project,
    cloud: FakeCloud,
    screen: Screen,
    written: io.StringIO,
    outcome: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warned = {**RESULTS.metrics, "findings": [WARNING.as_dict()]}
    monkeypatch.setattr(running, "fetch", lambda *_: replace(RESULTS, metrics=warned))
    outcome.append(SUCCEEDED)
    _run(project, cloud, screen)
    assert "Rules: 1 warning\n  Warning: Overfit at step 90: The loss rises. Take more photos.\n" in written.getvalue()
    assert "What each means: " in written.getvalue()
    assert _summary(project)["findings"] == [WARNING.as_dict()]


def test_a_notice_that_could_not_be_sent_is_told(
    project: Project, cloud: FakeCloud, screen: Screen, written: io.StringIO, outcome: list[Any]
) -> None:
    outcome.append(replace(SUCCEEDED, output={**SUCCEEDED.output, "notice_not_sent": "no such topic"}))
    _run(project, cloud, screen)
    assert "The notice of this run's end could not be sent: no such topic\n" in written.getvalue()


@pytest.mark.parametrize("told", [True, False])
def test_a_run_that_a_rule_stopped_says_where_its_rules_are_described(
    project: Project, cloud: FakeCloud, screen: Screen, outcome: list[Any], told: bool
) -> None:
    cause = "Train: ExplodingTensor at step 4: The loss is nan." if told else "Train: no memory"
    outcome.append(replace(FAILED, error="Pedigree.Train", cause=cause))
    with pytest.raises(ConsoleError) as caught:
        _run(project, cloud, screen)
    assert ("docs/debugging.md" in caught.value.hint) is told
    assert cause.removeprefix("Train: ") in caught.value.message
