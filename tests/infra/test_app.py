"""app.py as the CDK CLI runs it: no credentials, no network, CDK's own validation and cfn-lint content."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import aws_cdk
import pytest

ROOT = Path(__file__).parents[2]


# W3005: a DependsOn that a reference implies already. CDK writes every dependency of a construct for all that is in it.
_REASONED = ["--ignore-checks", "W3005"]


def recommended_flags() -> dict[str, Any]:
    """Return CDK's feature flags with the values that this release recommends, from the library as it is installed."""
    (archive,) = (Path(aws_cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.tgz")
    with tarfile.open(archive) as library:
        file = library.extractfile("package/recommended-feature-flags.json")
        assert file is not None
        flags: dict[str, Any] = json.load(file)
    return flags


def test_every_recommended_feature_flag_is_set(context: dict[str, Any]) -> None:
    recommended = recommended_flags()
    assert len(recommended) > 50
    assert {flag: context.get(flag) for flag in recommended} == recommended


def synthesize(out: Path, context: dict[str, Any], stage: str) -> subprocess.CompletedProcess[str]:
    """Run app.py for a stage in an environment that holds nothing of AWS."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    environment = bare | {"CDK_CONTEXT_JSON": json.dumps(context | {"stage": stage}), "CDK_OUTDIR": str(out)}
    return subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def test_an_unknown_stage_ends_with_one_clear_line(tmp_path: Path, context: dict[str, Any]) -> None:
    done = synthesize(tmp_path, context, "staging")
    assert done.returncode == 1
    assert "cdk.json: stage: 'staging' given, one of laptop, dev, prod" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["laptop", "dev", "prod"])
def test_templates_pass_cdk_s_validation_cdk_nag_and_cfn_lint(
    tmp_path: Path, context: dict[str, Any], name: str
) -> None:
    done = synthesize(tmp_path, context, name)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "validation-report.json").read_text(encoding="utf-8"))
    assert report["pluginReports"] == []
    cfn_lint = [str(Path(sys.executable).with_name("cfn-lint")), *_REASONED, "--"]
    templates = [str(file) for file in tmp_path.glob("*.template.json")]
    linted = subprocess.run([*cfn_lint, *templates], capture_output=True, text=True, timeout=300)
    assert linted.returncode == 0, linted.stdout
