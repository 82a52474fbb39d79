"""Settings, facts and synthesized templates that the tests share."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.cleanup import cloudformation
from infra.cleanup.sweep import Clock
from infra.settings import Settings, load_settings
from infra.state_machine.facts import Facts
from tests.infra.fake_aws import FakeAws
from tests.infra.running import facts_of

# CDK's own validation takes longer than all the rest; test_app.py runs it once. Read when CDK's engine starts.
os.environ.setdefault("CDK_VALIDATION", "false")

CDK_JSON = json.loads((Path(__file__).parents[2] / "cdk.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def context() -> dict[str, Any]:
    """The context of cdk.json."""
    values: dict[str, Any] = CDK_JSON["context"]
    return values


@pytest.fixture(scope="session", params=["laptop", "dev", "prod"])
def stage(request: pytest.FixtureRequest) -> str:
    """Every stage of cdk.json."""
    return str(request.param)


@pytest.fixture(scope="session")
def settings(stage: str, context: dict[str, Any]) -> Settings:
    """The settings of a stage."""
    return load_settings(context["stages"], stage)


@pytest.fixture(scope="session")
def facts(settings: Settings) -> Facts:
    """What the states know, after a deployment of a stage."""
    return facts_of(settings)


@pytest.fixture
def aws() -> FakeAws:
    """A scripted AWS with an empty bucket, whose jobs succeed."""
    return FakeAws()


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory, context: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """A function that returns the templates of a stage by the stack's part; each stage is synthesized once."""
    from aws_cdk import App

    from infra.stacks import build_stage

    made: dict[str, dict[str, Any]] = {}

    def templates(stage: str) -> dict[str, Any]:
        if stage not in made:
            out = tmp_path_factory.mktemp(stage)
            app = App(context=context, outdir=str(out))
            build_stage(app, load_settings(context["stages"], stage))
            app.synth()
            made[stage] = {
                file.name.split(".")[0].rsplit("-", 1)[1]: json.loads(file.read_text(encoding="utf-8"))
                for file in out.glob("*.template.json")
            }
        return made[stage]

    return templates


@pytest.fixture(scope="session")
def templates(stage: str, synthesize: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """The templates of a stage: Data, FrontDoor, Pipeline."""
    return synthesize(stage)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What CloudFormation is told."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(cloudformation, "_put", lambda url, body: sent.append(json.loads(body)))
    return sent


@pytest.fixture
def stack_status(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The status of the resource's stack; to be changed."""
    status = {"value": "DELETE_IN_PROGRESS"}

    class CloudFormation:
        def describe_stacks(self, **_: str) -> dict[str, Any]:
            return {"Stacks": [{"StackStatus": status["value"]}]}

    class Boto3:
        def client(self, service: str) -> CloudFormation:
            assert service == "cloudformation"
            return CloudFormation()

    monkeypatch.setattr(cloudformation, "boto3", Boto3())
    return status


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Twenty seconds that pass at once."""
    now = {"value": 0.0}

    def sleep(seconds: float) -> None:
        now["value"] += seconds

    # Only for the sweep: threads of other tests sleep in true time.
    monkeypatch.setattr("infra.cleanup.sweep.time", SimpleNamespace(monotonic=lambda: now["value"], sleep=sleep))
    return Clock(ends=20, pause_seconds=1)
