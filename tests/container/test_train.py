"""The launcher as SageMaker runs it: a process of its own, its bundle in S3, its script another process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
BUNDLE_URI = "s3://bucket/code/sourcedir.tar.gz"
MakeTarGz = Callable[[Mapping[str, str]], bytes]
TELL = """
import json, os, sys
json.dump({"arguments": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}, sys.stdout)
"""
WAIT = """
import os, signal, sys, time
def on_term(number, frame):
    print("saving", flush=True)
    sys.exit(7)
if "handle" in sys.argv:
    signal.signal(signal.SIGTERM, on_term)
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def objects() -> dict[str, bytes]:
    """What the S3 of this test holds, by path: bucket/key."""
    return {}


@pytest.fixture
def s3_url(objects: dict[str, bytes]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = objects.get(self.path.split("?")[0].lstrip("/"))
            self.send_response(404 if body is None else 200)
            body = body or b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class JobFolder:
    """BASE of one job, with the request that SageMaker would write there."""

    base: Path
    s3_url: str
    objects: dict[str, bytes]
    make_tar_gz: MakeTarGz
    hyperparameters: dict[str, str] = field(default_factory=lambda: {"sagemaker_submit_directory": BUNDLE_URI})

    def write(self, script: str, channels: tuple[str, ...] = (), **hyperparameters: str) -> None:
        """Make ``script`` the job's program and write the request."""
        self.objects["bucket/code/sourcedir.tar.gz"] = self.make_tar_gz({"training/job.py": script})
        self.hyperparameters |= {"sagemaker_program": "training/job.py", **hyperparameters}
        config = self.base / "input" / "config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps(self.hyperparameters))
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
        (config / "inputdataconfig.json").write_text(json.dumps({name: {} for name in channels}))

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        """Start the launcher."""
        return subprocess.Popen(
            [sys.executable, "-m", "container.train"],
            cwd=ROOT,
            env={
                **os.environ,
                "SAGEMAKER_BASE_DIR": str(self.base),
                "AWS_ENDPOINT_URL": self.s3_url,
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run the launcher to its end."""
        with self.start() as process:
            stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    @property
    def failure(self) -> str:
        """The failure file's content."""
        return (self.base / "output" / "failure").read_text()


@pytest.fixture
def job(tmp_path: Path, s3_url: str, objects: dict[str, bytes], make_tar_gz: MakeTarGz) -> JobFolder:
    return JobFolder(tmp_path / "ml", s3_url, objects, make_tar_gz)


def told(job: JobFolder) -> Mapping[str, object]:
    done = job.run()
    assert done.returncode == 0, done.stderr
    answer: Mapping[str, object] = json.loads(done.stdout)
    return answer


def script_pid(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_the_script_gets_its_hyperparameters_its_folder_and_its_environment(job: JobFolder) -> None:
    job.write(TELL, channels=("prepared",), lr="0.01", **{"batch-size": '"16"', "use-bias": "true"})
    answer = told(job)
    environment = answer["environment"]
    assert isinstance(environment, dict)
    code = str(job.base / "code")
    assert answer["arguments"] == ["--batch-size", "16", "--lr", "0.01", "--use-bias", "true"]
    assert answer["cwd"] == environment["PYTHONPATH"] == code
    assert environment["SM_MODEL_DIR"] == str(job.base / "model")
    assert environment["SM_CHANNEL_PREPARED"] == str(job.base / "input" / "data" / "prepared")
    assert not (job.base / "output" / "failure").exists()
    assert (job.base / "model").is_dir()
    assert (job.base / "output" / "data").is_dir()


def test_the_exit_code_is_the_scripts_and_the_failure_starts_with_its_error(job: JobFolder) -> None:
    job.write("""
class PhotosError(Exception): ...
PhotosError.__module__ = "training.photos"
raise PhotosError("class folder train/003.Pug holds no photos")
""")
    done = job.run()
    assert done.returncode == 1
    assert job.failure == "PhotosError: class folder train/003.Pug holds no photos"
    assert "Traceback" in done.stderr


def test_an_exit_code_of_its_own_is_passed_on(job: JobFolder) -> None:
    job.write("import sys; print('before'); sys.exit(3)")
    done = job.run()
    assert done.returncode == 3
    assert done.stdout == "before\n"
    assert job.failure == "training/job.py ended with exit code 3 and wrote nothing to standard error"


def test_a_failure_file_of_the_scripts_own_stays(job: JobFolder) -> None:
    job.write("""
import os, pathlib, sys
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("out of photos")
sys.exit("something else")
""")
    assert job.run().returncode == 1
    assert job.failure == "out of photos"


def test_a_failure_file_of_an_earlier_run_goes(job: JobFolder) -> None:
    job.write("pass")
    (job.base / "output").mkdir()
    (job.base / "output" / "failure").write_text("of yesterday")
    assert job.run().returncode == 0
    assert not (job.base / "output" / "failure").exists()


def test_a_killed_script_is_reported_with_its_signal(job: JobFolder) -> None:
    job.write(WAIT)
    with job.start() as process:
        os.kill(script_pid(process), signal.SIGKILL)
        process.wait(20)
    assert process.returncode == 137
    assert job.failure == "killed by SIGKILL (signal 9)"


def test_sigterm_reaches_the_script_which_may_end_in_its_own_way(job: JobFolder) -> None:
    job.write(WAIT, mode="handle")
    with job.start() as process:
        pid = script_pid(process)
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=20)
    assert process.returncode == 7
    assert stdout == "saving\n"
    assert ends(pid)


def test_a_script_that_does_not_handle_sigterm_ends_by_it(job: JobFolder) -> None:
    job.write(WAIT)
    with job.start() as process:
        script_pid(process)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert process.returncode == 143
    assert job.failure == "killed by SIGTERM (signal 15)"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can tie a process's life to its parent's")
def test_a_killed_launcher_leaves_no_script_behind(job: JobFolder) -> None:
    job.write(WAIT)
    with job.start() as process:
        pid = script_pid(process)
        process.kill()
        process.wait(20)
    assert ends(pid)


def test_a_script_whose_own_child_outlives_it_ends_the_job_all_the_same(job: JobFolder) -> None:
    job.write("import subprocess; print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid)")
    done = job.run()
    child = psutil.Process(int(done.stdout))
    try:
        assert done.returncode == 0
        assert child.status() != psutil.STATUS_ZOMBIE
    finally:
        child.kill()


def test_a_bundle_that_is_not_there_is_named_with_what_to_check(job: JobFolder) -> None:
    job.write("pass")
    job.objects.clear()
    done = job.run()
    assert done.returncode == 1
    assert job.failure.startswith("cannot read the source bundle s3://bucket/code/sourcedir.tar.gz: ")
    assert "NoSuchKey" in job.failure
    assert "s3:GetObject" in job.failure
    assert "Traceback" not in done.stderr


def test_a_missing_request_is_named(job: JobFolder) -> None:
    done = job.run()
    assert done.returncode == 1
    assert "hyperparameters.json is missing" in job.failure
    assert job.failure in done.stderr


def test_a_request_without_a_program_is_refused(job: JobFolder) -> None:
    job.write("pass", sagemaker_program="")
    assert job.run().returncode == 1
    assert job.failure.startswith("hyperparameter 'sagemaker_program' is missing")


def test_a_job_that_asks_for_it_is_one_process_per_gpu(job: JobFolder, tmp_path: Path) -> None:
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho GPU 0\necho GPU 1\n")
    driver.chmod(0o755)
    job.write(
        "import os, time\nopen(f'rank-{os.environ[\"RANK\"]}-of-{os.environ[\"WORLD_SIZE\"]}', 'w').close()\n"
        "if os.environ['RANK'] == '1':\n"
        "    while not os.path.exists('rank-0-of-2'):\n        time.sleep(0.01)\n"  # a failure ends the others
        "    raise ValueError('the second one failed')\n",
        sagemaker_torch_distributed_enabled="true",
    )
    with job.start(PATH=f"{driver.parent}{os.pathsep}{os.environ['PATH']}") as process:
        process.communicate(timeout=300)
    assert process.returncode == 1
    assert {path.name for path in (job.base / "code").glob("rank-*")} == {"rank-0-of-2", "rank-1-of-2"}
    assert job.failure.startswith("ValueError: the second one failed")
