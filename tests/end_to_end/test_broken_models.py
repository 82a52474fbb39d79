"""A new model that is broken never takes over: users ask all the time, and not one of them notices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.checkout import copy_checkout
from tests.end_to_end.local_stage import LocalStage, add_stage, running_stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STAGE = "rollout"
# What is appended to the code that travels with the model, and what the execution then says.
BROKEN = {
    "its container exits at start": (
        "serving/server.py",
        'import sys\nsys.exit("broken on purpose")\n',
        "ping health check",
    ),
    "its ping never answers": ("serving/server.py", "import time\ntime.sleep(3600)\n", "ping"),
    "it answers 500": (
        "serving/service.py",
        "\n\nasync def _broken(*_: object) -> bytes:\n"
        '    raise RuntimeError("broken on purpose")\n\n\n'
        "ModelService.answer = _broken\n",
        "500",
    ),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStage]:
    checkout = copy_checkout(tmp_path_factory.mktemp("broken") / "pedigree")
    # 60 s is the shortest patience with a container that SageMaker allows.
    add_stage(checkout, STAGE, endpoint={"startup_seconds": 60})
    with running_stage(checkout, STAGE) as running:
        yield running


@pytest.fixture(scope="module")
def given(stage: LocalStage, photos: Path) -> dict[str, Any]:
    """The input of an execution, one of which has put a good model into service."""
    given = {"source": stage.upload(photos), "trials": 1, "epochs": 0}
    first = stage.wait(stage.start("good", **given))
    assert first["status"] == "SUCCEEDED", first
    return given


@pytest.mark.parametrize("how", BROKEN)
def test_the_old_model_goes_on_serving(stage: LocalStage, given: dict[str, Any], photos: Path, how: str) -> None:
    file, code, reason = BROKEN[how]
    photo = sorted((photos / "test").rglob("*.jpg"))[0].read_bytes()
    serving = stage.client("sagemaker").describe_endpoint(EndpointName=stage.prefix)["EndpointConfigName"]
    source = stage.checkout.root / file
    good = source.read_text("utf-8")
    # The server runs as a script, so what breaks it comes first; what replaces a method comes last.
    source.write_text(code + good if code.startswith("import") else good + code, "utf-8")
    try:
        stage.pedigree("deploy")
        with stage.asked_all_the_time(photo, pause=0.3) as answers:
            ended = stage.wait(stage.start(f"broken-{len(code)}", **given))
    finally:
        source.write_text(good, "utf-8")
    assert ended["status"] == "FAILED"
    assert reason in ended["cause"], ended["cause"]
    assert len(answers) > 10
    assert {answer.status_code for answer in answers} == {200}
    after = stage.client("sagemaker").describe_endpoint(EndpointName=stage.prefix)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", serving)
    packages = stage.client("sagemaker").list_model_packages(
        ModelPackageGroupName=stage.prefix, SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"]
    assert packages[0]["ModelApprovalStatus"] == "Rejected"
