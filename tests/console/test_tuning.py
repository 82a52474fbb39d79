"""`pedigree tune`, with the real sweep on small features."""

import io
import json
from pathlib import Path

import pytest

from console import tuning
from console.errors import ConsoleError
from console.files import write_json
from console.project import Project
from console.screen import Screen
from contract.names import FeaturesFile
from tests.console.fakes import FakeCloud

ROOT = Path(__file__).parents[2]
SWEEP = tuning.Sweep(trials=3, seed=1, objective="accuracy", sampler="spread", stopping="none")
URI = "s3://bucket/features/pedigree-laptop-features-1/output/model/"

_SWEEP = """
import json, pathlib, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if not pathlib.Path(given["--features"]).is_dir():
    sys.exit("JobInputError: no features there")
point = {"lr": "0.0123456", "batch-size": "64", "epochs": "7"}
trials = [
    {"name": f"trial-00{n}", "status": status, "objective": accuracy, "loss": loss, "hyperparameters": point}
    for n, (status, accuracy, loss) in enumerate(
        [("Completed", 0.9, 0.3), ("Stopped", 0.9, 0.2), ("Completed", None, None)], 1)
]
path = pathlib.Path(given["--model-dir"], "tuning.json")
path.write_text(json.dumps({"trials": trials, "hyperparameters": point, "given": given}))
"""


@pytest.fixture
def stand_in(project: Project) -> Project:
    """A checkout whose sweep says what the test expects."""
    (project.root / "training").mkdir()
    (project.root / "training" / "sweep.py").write_text(_SWEEP)
    return project


def test_the_trials_are_shown_and_the_best_one_is_marked(
    stand_in: Project, screen: Screen, written: io.StringIO, tmp_path: Path
) -> None:
    tuning.tune(stand_in, screen, tmp_path, SWEEP)
    rows = [line.split() for line in written.getvalue().splitlines()]
    assert ["1", "0.0123", "64", "7", "completed", "90.0", "%", "0.300"] in rows
    assert ["2", "0.0123", "64", "7", "best", "90.0", "%", "0.200"] in rows
    assert ["3", "0.0123", "64", "7", "completed"] in rows
    given = json.loads((stand_in.build / "tune" / "tuning.json").read_text())["given"]
    assert (given["--trials"], given["--seed"], given["--stopping"]) == ("3", "1", "none")


def test_a_failure_says_what_the_sweep_said(
    stand_in: Project, screen: Screen, written: io.StringIO, tmp_path: Path
) -> None:
    with pytest.raises(ConsoleError, match=r"\AThe sweep failed: no features there\Z") as raised:
        tuning.tune(stand_in, screen, tmp_path / "nothing", SWEEP)
    assert "sweep.log" in raised.value.hint
    assert "Tried" not in written.getvalue()


def test_a_killed_sweep_names_the_signal(stand_in: Project, screen: Screen, tmp_path: Path) -> None:
    killed = "import os, signal; print('#trial 1', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    (stand_in.root / "training" / "sweep.py").write_text(killed)
    with pytest.raises(ConsoleError, match="it was ended by SIGKILL"):
        tuning.tune(stand_in, screen, tmp_path, SWEEP)


def test_the_real_sweep_takes_what_the_console_gives(project: Project, screen: Screen, tmp_path: Path) -> None:
    for package in ("contract", "training", "vision"):
        (project.root / package).symlink_to(ROOT / package)
    with pytest.raises(ConsoleError, match=r"\AThe sweep failed: /.* holds no features: "):
        tuning.tune(project, screen, tmp_path, SWEEP)


def test_the_features_of_the_last_run_are_fetched_once(
    project: Project, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(project.run / "summary.json", {"features_uri": URI})
    prefix = URI.removeprefix("s3://bucket/")
    names = [FeaturesFile.SPEC, "arrays"]
    stub = cloud.stub("s3")
    stub.add_response(
        "list_objects_v2",
        {"Contents": [{"Key": f"{prefix}{name}"} for name in names]},
        {"Bucket": "bucket", "Prefix": prefix},
    )
    order: list[str] = []

    def download(bucket: str, key: str, path: str) -> None:
        order.append(key.removeprefix(prefix))
        Path(path).write_text("x")

    monkeypatch.setattr(cloud.client("s3"), "download_file", download)
    folder = tuning.features_of_last_run(project, cloud)
    assert order == ["arrays", FeaturesFile.SPEC]
    assert tuning.features_of_last_run(project, cloud) == folder
    stub.assert_no_pending_responses()


def test_without_a_run_there_are_no_features(project: Project, cloud: FakeCloud) -> None:
    with pytest.raises(ConsoleError, match="No run has left features yet") as raised:
        tuning.features_of_last_run(project, cloud)
    assert "--features FOLDER" in raised.value.hint


def test_features_that_are_gone_are_said_to_be_gone(project: Project, cloud: FakeCloud) -> None:
    write_json(project.run / "summary.json", {"features_uri": URI})
    cloud.stub("s3").add_response("list_objects_v2", {})
    with pytest.raises(ConsoleError, match="are gone"):
        tuning.features_of_last_run(project, cloud)
