"""What other programs are told about a stage, without the CDK."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings, load_settings
from infra.show_settings import resolved

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.show_settings", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)


def test_defaults_are_filled_in(stage: str, context: dict[str, Any]) -> None:
    found = resolved(stage)
    assert found["stage"] == stage
    assert found["gate"]["minimum_accuracy"] == load_settings(context["stages"], stage).gate.minimum_accuracy
    assert found["watch"] == {"email": None, "log_days": Settings().watch.log_days}


def test_without_a_stage_it_is_the_one_that_cdk_json_names(context: dict[str, Any]) -> None:
    assert resolved()["stage"] == context["stage"]


def test_the_program_prints_json() -> None:
    done = run("--stage", "prod")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(resolved("prod")))


def test_an_unknown_stage_is_one_line_and_exit_code_1() -> None:
    done = run("--stage", "staging")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("cdk.json: stage: 'staging' given, one of ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["infra.show_settings", "infra.settings_page"])
def test_it_is_instant_since_the_cdk_is_not_imported(module: str) -> None:
    code = f"import sys, {module}; sys.exit('aws_cdk' in sys.modules or 'boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30).returncode == 0
