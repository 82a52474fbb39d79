"""The checks together: which are made, how they are shown, what stops a deployment."""

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console import commands
from console.doctor import account, examination
from console.doctor.result import Check, Result, State, Subject, ok, problem, warning
from console.errors import ConsoleError
from console.project import Project
from console.screen import Screen
from tests.console.doctor.subjects import FakeAws
from tests.console.fakes import FakeCloud

ROOT = Path(__file__).parents[3]


def test_what_may_not_be_asked_is_a_warning_and_the_rest_goes_on(subject: Subject, cloud: FakeAws) -> None:
    denied = "User: arn:aws:iam::1:user/me is not authorized to perform: sagemaker:ListEndpoints"
    cloud.stub("sagemaker").add_client_error("list_endpoints", "AccessDeniedException", denied)
    checks: tuple[Check, ...] = (account.sagemaker, account.debugger)
    first, second = examination._findings(checks, subject)
    assert first.state is State.WARNING
    assert "not authorized to perform: sagemaker:ListEndpoints" in first.found
    assert second.state is State.OK


def test_without_credentials_only_the_machine_is_examined() -> None:
    class Unknown(FakeAws):
        def start(self) -> None:
            raise ConsoleError("AWS does not take the credentials: expired", "aws sso login")

    found = examination.examine(Project(ROOT), Unknown())
    assert found[-1] == problem("Credentials", "AWS does not take the credentials: expired", "aws sso login")


def test_before_a_deployment_to_aws_the_first_problem_stops_it(cloud: FakeAws, tmp_path: Path) -> None:
    with pytest.raises(ConsoleError, match=r"CDK CLI: .* is missing"):
        examination.require_quick(Project(tmp_path), cloud)


def test_on_the_laptop_nothing_is_asked_before_a_run(tmp_path: Path) -> None:
    examination.require_quick(Project(tmp_path), FakeCloud())


FINDINGS = [
    ok("Node", "v20.1.0"),
    warning("Photos", "https://example.org/[1].zip cannot be reached from here", "curl -I https://example.org/[1].zip"),
    problem(
        "Quota ml.g4dn.xlarge for endpoint usage",
        "0, and 2 needed",
        "aws service-quotas request-service-quota-increase " + "x" * 100,
    ),
]


def test_what_to_do_is_never_broken_and_brackets_stay(screen: Screen, written: io.StringIO) -> None:
    examination.show(FINDINGS, screen)
    lines = written.getvalue().splitlines()
    assert f"  aws service-quotas request-service-quota-increase {'x' * 100}" in lines
    assert "  curl -I https://example.org/[1].zip" in lines
    assert lines[-1] == "1 problem to fix; 1 to look at."
    table = lines[: lines.index("")]
    assert max(map(len, table)) <= 80


def test_nothing_wrong_is_said_so(screen: Screen, written: io.StringIO) -> None:
    examination.show(FINDINGS[:1], screen)
    assert written.getvalue().splitlines()[-1] == "Nothing stands in the way."


@pytest.mark.parametrize(("found", "code"), [(FINDINGS, 1), (FINDINGS[:2], 0)], ids=["problem", "warning"])
def test_the_exit_code_says_whether_there_is_a_problem(
    found: list[Result], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "examine", lambda project, cloud, data: found)
    done = CliRunner().invoke(commands.app, ["doctor", "--json"])
    assert done.exit_code == code
    content = json.loads(done.stdout)
    assert content["ok"] is (code == 0)
    assert len(content["results"]) == len(found)
