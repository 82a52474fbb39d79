"""Processes in groups of their own, so that nothing they start outlives them."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psutil

from local_cloud.sagemaker.errors import JobError

# Settings of the person at the laptop that must not leak into what stands for a container.
_NOT_INHERITED = ("AWS_", "SM_", "SAGEMAKER_", "PYTHON", "TRAINING_JOB_", "OMP_NUM_THREADS", "BOTO_")
_LOCAL = "localhost,127.0.0.1"


def container_environment(image: Path, *layers: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that runs "in" ``image``, a folder of executables; later layers win."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    # Images of training and serving set PYTHONUNBUFFERED: log lines are to be seen when they are written.
    environment = {
        **inherited,
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{image}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (environment.get(name), _LOCAL)))
    for layer in layers:
        environment.update(layer)
    return environment


class ProcessGroup:
    """A process, its descendants and its log lines."""

    def __init__(
        self, command: list[str], folder: Path, environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> None:
        """Start ``command`` in ``folder``; ``on_line`` gets every line of its output from a thread of its own.

        Raises:
            JobError: the program cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise JobError(f"ClientError: the image cannot run {command[0]}: {error}") from error
        self._on_line = on_line
        self._reader = threading.Thread(target=self._read, name=f"log of {self._process.pid}", daemon=True)
        self._reader.start()

    @property
    def identity(self) -> dict[str, float]:
        """What ``end_orphans`` needs to recognise the group later."""
        return identity_of(self._process.pid)

    def running(self) -> bool:
        """Tell whether the leader still runs."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """Wait for the leader; its exit code (128 + n after signal n), or None if it still runs."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        """Ask the leader to end; it passes the signal on, as the first process of a container does."""
        if self.running():
            self._process.terminate()

    def end(self, grace_seconds: float) -> int:
        """End the group: SIGTERM, then after the grace SIGKILL; return the leader's exit code."""
        self.terminate()
        self.wait(grace_seconds)
        return self.finish()

    def finish(self) -> int:
        """Kill what is left of the group, read its last lines and return the leader's exit code."""
        kill_group(self._process.pid)
        code = self.wait(10)
        # A descendant that left the group may hold the pipe open: its lines are not waited for.
        self._reader.join(5)
        return 128 + signal.SIGKILL if code is None else code

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.strip():
                    self._on_line(line.rstrip())

    def __enter__(self) -> Self:
        """Return the group."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing running, whatever went wrong."""
        self.finish()


def kill_group(leader: int) -> None:
    """Send SIGKILL to a process group; none left is fine (macOS says EPERM when only zombies are)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def identity_of(pid: int) -> dict[str, float]:
    """Return what tells this process from a later one with the same number."""
    try:
        return {"pid": pid, "started": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "started": 0.0}


def end_orphans(identity: Mapping[str, float], grace_seconds: float) -> None:
    """End what is left of a group that an earlier, crashed service started; a later group of that number is spared."""
    group, started = int(identity["pid"]), identity["started"] - 1
    if not _members(group, started):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while _members(group, started) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _members(group, started):
        kill_group(group)


def _members(group: int, started: float) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) != group or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.create_time() < started:
                return []
            found.append(process.pid)
    return found
