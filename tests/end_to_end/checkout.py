"""A copy of the project in which the console runs as a person would run it, on the laptop or on AWS."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from contract.front_door import API_KEY_HEADER
from contract.names import ApiPath

ROOT = Path(__file__).parents[2]
# Set by tests/end_to_end/on_aws.py alone, so that nothing reaches for an account by accident.
ON_AWS = "PEDIGREE_TEST_ON_AWS"
IS_ON_AWS = ON_AWS in os.environ
# What one command may take: a laptop's run is a minute or two, on AWS instances start and endpoints update.
COMMAND_SECONDS = 4 * 3600.0 if IS_ON_AWS else 600.0
TEST_SECONDS = 5 * 3600.0 if IS_ON_AWS else 900.0


_given_ports: set[int] = set()


def free_port() -> int:
    """Return a port that nobody uses: another one every time, for the one given before may not be in use yet."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given_ports:
            _given_ports.add(port)
            return port


@dataclass
class Checkout:
    """A copy of the project in which `pedigree` runs as a person would run it."""

    root: Path
    port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)

    @property
    def words(self) -> tuple[str, ...]:
        """What stands in front of every command."""
        return ()

    @property
    def prefix(self) -> str:
        """What the names begin with of all that an execution makes."""
        return "pedigree-laptop"

    @property
    def environment(self) -> dict[str, str]:
        return _without("AWS_", "PEDIGREE_", "PYTEST_") | {
            "PYTHONPATH": str(self.root),
            "PEDIGREE_PORT": str(self.port),
            "PEDIGREE_API_PORT": str(self.api_port),
        }

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "console.main", *self.words, *map(str, arguments)],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pedigree(self, *arguments: str | Path, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            end(process)
            raise
        return subprocess.CompletedProcess(list(arguments), process.returncode, output)

    def variables(self, *words: str) -> dict[str, str]:
        """Return what `pedigree env` prints; ``words`` stand in front of it, such as --stage."""
        done = self.pedigree(*words, "env")
        assert done.returncode == 0, done.stdout
        exports = [shlex.split(line)[1:] for line in done.stdout.splitlines() if line.startswith("export ")]
        return dict(word.split("=", 1) for words in exports for word in words)

    @contextlib.contextmanager
    def serving(self) -> Iterator[dict[str, str]]:
        """Serve the last trained model again, and yield the variables that lead to it."""
        process = self.start("up")
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "Ctrl-C" in line:
                    break
            yield self.variables()
        finally:
            end(process)
        assert process.returncode == 0
        assert not self.processes()

    def processes(self) -> list[psutil.Process]:
        """Return every process that works in or for this checkout."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            command = " ".join(process.info["cmdline"] or ())
            if str(self.root) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found


@dataclass
class AwsCheckout(Checkout):
    """The same on AWS, with the credentials of the environment and a stage of its own."""

    stage: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        return ("--on", "aws", "--stage", self.stage)

    @property
    def prefix(self) -> str:
        return f"pedigree-{self.stage}"

    @property
    def environment(self) -> dict[str, str]:
        return _without("PEDIGREE_", "PYTEST_") | {"PYTHONPATH": str(self.root)}

    @contextlib.contextmanager
    def serving(self) -> Iterator[dict[str, str]]:
        """Yield the variables that lead to the endpoint, which has been serving all the time."""
        yield self.variables()


@dataclass(frozen=True)
class Finished:
    """One run of the whole job, as it was left: a later run of the same checkout leaves a summary of its own."""

    checkout: Checkout
    code: int
    output: str
    summary: dict[str, Any]


@dataclass(frozen=True)
class Up:
    """A cloud that serves the model, with the variables that lead to it."""

    checkout: Checkout
    variables: dict[str, str]

    @property
    def key(self) -> str:
        """The API key."""
        return self.variables["PEDIGREE_API_KEY"]

    def post(self, body: bytes, content_type: str = "image/jpeg", key: str | None = None) -> httpx.Response:
        headers = {"content-type": content_type, API_KEY_HEADER: key or self.key}
        return self.request("POST", ApiPath.PREDICT, content=body, headers=headers)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"{self.variables['PEDIGREE_API_URL']}/{path.lstrip('/')}"
        return httpx.request(method, url, timeout=60, trust_env=IS_ON_AWS, **options)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer to whoever has the key."""
        return self.request(method, path, headers={API_KEY_HEADER: self.key}, **options)

    def aws(self, *arguments: str) -> Any:
        environment = self.checkout.environment | self.variables
        command = [sys.executable, "-m", "awscli", *arguments, "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _without(*prefixes: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def end(process: subprocess.Popen[str]) -> None:
    """End a console as Ctrl-C does, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def copy_checkout(destination: Path) -> Checkout:
    copy_files(destination)
    return Checkout(destination)


def copy_files(destination: Path) -> None:
    """Copy what git would commit, and link the CDK CLI."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    (destination / "node_modules").symlink_to(ROOT / "node_modules")


def write_stage(root: Path, stage: str, settings: Mapping[str, Any]) -> None:
    """Give the cdk.json of a copy a stage."""
    path = root / "cdk.json"
    content = json.loads(path.read_text("utf-8"))
    content["context"]["stages"][stage] = dict(settings)
    path.write_text(json.dumps(content, indent=2), "utf-8")
