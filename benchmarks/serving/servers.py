"""The servers that are compared, each a process group of its own, started and stopped in turn."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.serving.artifact import ROOT
from container.environment import BASE_DIR_VARIABLE, OPENMP_DEFAULTS
from contract.serving import Variable

HOST: Final = "127.0.0.1"
READY_SECONDS: Final = 300.0
_STOP_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05


class ServerFailedError(Exception):
    """A server ended or did not become ready; the message ends with the end of its log."""


@dataclass(frozen=True)
class Kind:
    """How one server is started.

    Attributes:
        name: for the log's name and messages.
        command: of the program, without Python; PORT stands for the port.
        path: where it takes photos.
        environment: on top of what all get.
        health: what answers 200 when it can take photos.
    """

    name: str
    command: tuple[str, ...]
    path: str = "/invocations"
    environment: tuple[tuple[str, str], ...] = ()
    health: str = "/ping"


def ours(base: Path, engine: str = "auto", **more: str) -> Kind:
    """Return our server on the artifact in ``base``/model, started as an endpoint is: by container.serve."""
    environment = {BASE_DIR_VARIABLE: str(base), "SAGEMAKER_BIND_TO_PORT": "PORT", Variable.ENGINE: engine, **more}
    return Kind(f"ours-{engine}", ("-m", "container.serve"), environment=tuple(environment.items()))


def seed() -> Kind:
    """Return baseline (a)."""
    return Kind("seed", ("-m", "benchmarks.serving.seed_server", "PORT"))


def litserve(peers: Path) -> Kind:
    """Return baseline (b)."""
    command = ("-m", "benchmarks.serving.litserve_server", "PORT")
    return Kind("litserve", command, "/predict", _with(peers), "/health")


def same_engine(peers: Path, model: Path, engine: str) -> Kind:
    """Return baseline (d): LitServe with our engine on the artifact in ``model``."""
    command = ("-m", "benchmarks.serving.litserve_ours", "PORT", str(model), engine)
    return Kind("same-engine", command, "/predict", _with(peers), "/health")


def torchserve(peers: Path) -> Kind:
    """Return baseline (c)."""
    command = ("-m", "benchmarks.serving.torchserve", "PORT")
    return Kind("torchserve", command, "/predictions/resnet50", _with(peers))


def _with(peers: Path) -> tuple[tuple[str, str], ...]:
    return (("PYTHONPATH", f"{ROOT}{os.pathsep}{peers}"),)


@dataclass(frozen=True)
class Running:
    """A server that can take photos."""

    kind: Kind
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    seconds_to_ready: float  # from its start until it said that it is healthy

    @property
    def tree(self) -> list[psutil.Process]:
        """The server's process and all below it."""
        try:
            leader = psutil.Process(self.process.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def memory(self) -> int:
        """Return the bytes of memory that all its processes hold, memory that they share counted for each."""
        return sum(memory_of(process) for process in self.tree)

    def model_process(self) -> psutil.Process:
        """Return the process that holds the network: of the server's children the largest.

        Raises:
            ServerFailedError: there is no child.
        """
        children = self.tree[1:]
        if not children:
            raise ServerFailedError(f"{self.kind.name} has no process besides its own")
        return max(children, key=memory_of)

    def ping(self, patience: float = 5.0) -> bool:
        """Return whether it says that it is healthy."""
        return asked(self.port, self.kind.health, patience=patience)


def memory_of(process: psutil.Process) -> int:
    """Return the bytes of memory of one process; none where it has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def asked(port: int, path: str, photo: bytes | None = None, patience: float = 5.0) -> bool:
    """Return whether GET ``path``, or POST with a photo, is answered with 200; on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=patience)
    try:
        connection.request("GET" if photo is None else "POST", path, photo, {"Content-Type": "image/jpeg"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def running(kind: Kind, logs: Path, photo: bytes) -> Iterator[Running]:
    """Start a server, wait until it has answered ``photo``, and end it and all that it started, whatever happens.

    Some say that they are healthy before they can answer.

    Raises:
        ServerFailedError: it ended, or did not answer in time.
    """
    port, log = free_port(), logs / f"{kind.name}.log"
    command = [sys.executable, *(word.replace("PORT", str(port)) for word in kind.command)]
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(kind, port),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(process, lambda: asked(port, kind.health), begun, log)
        ready = time.monotonic() - begun
        wait_for(process, lambda: asked(port, kind.path, photo, READY_SECONDS), begun, log)
        yield Running(kind, process, port, log, ready)
    finally:
        stop(process)


def wait_for(process: "subprocess.Popen[bytes]", condition: Callable[[], bool], begun: float, log: Path) -> None:
    """Wait until ``condition`` holds.

    Raises:
        ServerFailedError: the process has ended, or READY_SECONDS have passed since ``begun``.
    """
    while not condition():
        if process.poll() is not None or time.monotonic() - begun > READY_SECONDS:
            raise ServerFailedError(
                f"not ready {time.monotonic() - begun:.0f} s after its start; {log.name} ends:\n{tail(log)}"
            )
        time.sleep(_LOOK_SECONDS)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group: asked first, then killed."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def environment_of(kind: Kind, port: int) -> Mapping[str, str]:
    """Return this process's environment, OpenMP as in the container for every server, and the server's own."""
    own = {name: value.replace("PORT", str(port)) for name, value in kind.environment}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SM_", "SAGEMAKER_"))}
    return {**inherited, **OPENMP_DEFAULTS, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **own}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
        return port


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
