import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.commands import app
from console.project import Project
from tests.console.test_findings import WARNING

COMMANDS = ("up", "env", "tune", "deploy", "run", "status", "predict", "open", "report", "doctor", "cost", "down")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert command in result.output


def test_the_help_teaches_the_first_steps() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    for words in ("pedigree run", "pedigree up", "pedigree predict photo.jpg", "pedigree --on aws run"):
        assert words in output


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--trials", "0"],
        ["run", "--backbone", "vgg16"],
        ["run", "--epochs", "-1"],
        ["tune", "--objective", "speed"],
        ["--on", "moon", "status"],
        ["predict"],
        ["fetch"],
    ],
)
def test_a_wrong_command_line_is_refused_with_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_report_tells_the_findings_beside_what_scripts_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Project, "run", tmp_path)
    (tmp_path / "report.html").write_text("<html>")
    (tmp_path / "findings.json").write_text(json.dumps({"findings": [WARNING.as_dict()]}))
    result = CliRunner().invoke(app, ["report"])
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path / 'report.html'}\n"
    assert "Warning: Overfit at step 90: The loss rises." in result.stderr
