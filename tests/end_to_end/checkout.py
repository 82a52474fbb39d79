"""A copy of the project in which the console runs as a person would run it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Checkout:
    """A copy of the project in which `pedigree` runs as a person would run it."""

    root: Path
    port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PEDIGREE_", "PYTEST_"))
        }
        return own | {
            "PYTHONPATH": str(self.root),
            "PEDIGREE_PORT": str(self.port),
            "PEDIGREE_API_PORT": str(self.api_port),
        }

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "console.main", *map(str, arguments)],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pedigree(self, *arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException:
            end(process)
            raise
        return subprocess.CompletedProcess(list(arguments), process.returncode, output)

    def processes(self) -> list[psutil.Process]:
        """Return every process that works in or for this checkout."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            command = " ".join(process.info["cmdline"] or ())
            if str(self.root) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found


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
    return Checkout(destination)
