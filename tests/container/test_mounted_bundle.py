"""The source bundle as a channel: for containers that reach no network and hold no credentials."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHANNEL = "/opt/ml/input/data/code"
MakeTarGz = Callable[[Mapping[str, str]], bytes]
BUNDLE = {"training/job.py": "import os; print('base', os.environ['SAGEMAKER_BASE_DIR'])"}


@dataclass
class Container:
    """A container's base folder, and the launcher in it without any AWS_* variable."""

    base: Path

    @property
    def code(self) -> Path:
        """Where the channel with the code is mounted."""
        return self.base / "input" / "data" / "code"

    def run(self, submitted: str = CHANNEL) -> "subprocess.CompletedProcess[str]":
        """Run the launcher to its end."""
        config = self.base / "input" / "config"
        config.mkdir(parents=True)
        asked = {"sagemaker_program": "training/job.py", "sagemaker_submit_directory": submitted}
        (config / "hyperparameters.json").write_text(json.dumps(asked))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return subprocess.run(
            [sys.executable, "-m", "container.train"],
            cwd=ROOT,
            env={**environment, "SAGEMAKER_BASE_DIR": str(self.base)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def failure(self) -> str:
        """The failure file's content."""
        return (self.base / "output" / "failure").read_text()


@pytest.fixture
def container(tmp_path: Path) -> Container:
    made = Container(tmp_path / "ml")
    made.code.mkdir(parents=True)
    return made


@pytest.mark.parametrize("submitted", [CHANNEL, f"{CHANNEL}/0123abc.gz"])
def test_a_mounted_bundle_is_run_from_its_folder_or_by_its_name(
    container: Container, make_tar_gz: MakeTarGz, submitted: str
) -> None:
    (container.code / "0123abc.gz").write_bytes(make_tar_gz(BUNDLE))
    done = container.run(submitted)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"base {container.base}\n"


def test_the_mounted_bundle_stays_as_it_is(container: Container, make_tar_gz: MakeTarGz) -> None:
    bundle = make_tar_gz(BUNDLE)
    (container.code / "0123abc.gz").write_bytes(bundle)
    container.run()
    assert (container.code / "0123abc.gz").read_bytes() == bundle
    assert (container.base / "code" / "training" / "job.py").is_file()


def test_a_path_outside_the_usual_base_is_taken_as_it_is(
    container: Container, make_tar_gz: MakeTarGz, tmp_path: Path
) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(make_tar_gz(BUNDLE))
    assert container.run(str(tmp_path / "bundle.tar.gz")).returncode == 0


def test_a_channel_without_a_bundle_is_named(container: Container) -> None:
    assert container.run().returncode == 1
    assert container.failure == (
        f"sagemaker_submit_directory='{CHANNEL}': a source bundle expected, or a folder that holds one and nothing "
        "else; found: nothing"
    )


def test_a_channel_with_several_files_is_not_guessed_at(container: Container, make_tar_gz: MakeTarGz) -> None:
    for name in ("a.tar.gz", "b.tar.gz"):
        (container.code / name).write_bytes(make_tar_gz(BUNDLE))
    assert container.run().returncode == 1
    assert container.failure.endswith("found: a.tar.gz, b.tar.gz")


def test_a_channel_that_is_not_there_is_named(container: Container) -> None:
    assert container.run(f"{CHANNEL}s").returncode == 1
    assert container.failure.endswith("found: no such file or folder")


def test_a_mounted_zip_is_refused_as_one_from_s3_is(container: Container) -> None:
    (container.code / "0123abc.zip").write_bytes(b"PK\x03\x04 and so on")
    assert container.run().returncode == 1
    assert "it is a zip file; SageMaker expects a gzip-compressed tar archive" in container.failure
