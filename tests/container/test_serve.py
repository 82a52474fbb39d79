"""``serve`` becomes the server that the model artifact brings along."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
