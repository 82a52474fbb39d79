"""``serve`` becomes the server that the model artifact brings along."""

import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TELL = """
import json, os
names = ("PYTHONPATH", "SM_MODEL_DIR", "SAGEMAKER_BASE_DIR")
print(json.dumps({"pid": os.getpid(), "cwd": os.getcwd(), **{name: os.environ[name] for name in names}}))
"""


def serve(base: Path) -> "tuple[int, subprocess.CompletedProcess[str]]":
    with subprocess.Popen(
        [sys.executable, "-m", "container.serve"],
        cwd=ROOT,
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        stdout, stderr = process.communicate(timeout=30)
    return process.pid, subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_the_artifacts_server_takes_the_place_of_the_launcher(tmp_path: Path) -> None:
    code = tmp_path / "model" / "code"
    (code / "serving").mkdir(parents=True)
    (code / "serving" / "__init__.py").touch()
    (code / "serving" / "server.py").write_text(TELL)
    pid, done = serve(tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "pid": pid,
        "cwd": str(code),
        "PYTHONPATH": str(code),
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SAGEMAKER_BASE_DIR": str(tmp_path),
    }


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that every user of this machine may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


AS_NOBODY = """
import os, sys
from pathlib import Path
from container.serve import drop_privileges
changed = drop_privileges(Path(sys.argv[1]), sys.argv[2])
print(os.getuid(), os.geteuid(), os.getgid(), len(os.getgroups()), changed.get("HOME"))
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def drop(server: Path, user: str = "nobody") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", AS_NOBODY, str(server), user]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)


@as_root
def test_root_becomes_the_server_s_user_for_good(readable: Path) -> None:
    server = readable / "server.py"
    server.touch(0o644)
    nobody = pwd.getpwnam("nobody")
    assert drop(server).stdout.split() == [
        *(str(each) for each in (nobody.pw_uid, nobody.pw_uid, nobody.pw_gid, 0)),
        nobody.pw_dir,
    ]


@as_root
def test_an_artifact_that_the_user_may_not_read_is_served_by_root_which_says_so(readable: Path) -> None:
    server = readable / "server.py"
    server.touch(0o600)
    done = drop(server)
    assert done.stdout.split()[:2] == ["0", "0"]
    assert f"nobody may not read {readable}; the server runs as root" in done.stderr


def test_where_there_is_no_such_user_nothing_changes(readable: Path) -> None:
    done = drop(readable, user="nobody-of-this-name")
    assert done.stdout.split()[0] == str(os.getuid())
    assert not done.stderr


def test_an_artifact_without_a_server_is_told_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.pt").touch()
    _, done = serve(tmp_path)
    assert done.returncode == 1
    assert "must hold code/serving/server.py; at its root: weights.pt" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_artifact_at_all_is_said_so(tmp_path: Path) -> None:
    _, done = serve(tmp_path)
    assert done.returncode == 1
    assert "at its root: nothing, the folder does not exist" in done.stderr
