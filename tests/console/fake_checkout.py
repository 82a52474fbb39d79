"""A checkout whose local cloud and CDK CLI only pretend, and a `pedigree` that believes in it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]

# Announces itself as the real one does, with a worker process in a session of its own; ends like it, or does not.
_LOCAL_CLOUD = """
import argparse, http.server, json, os, pathlib, signal, subprocess, sys, threading
import certifi
parser = argparse.ArgumentParser()
for name in ("--state", "--port", "--api-port", "--image"):
    parser.add_argument(name)
parser.add_argument("--exit-with-stdin", action="store_true")
given = parser.parse_args()
state = pathlib.Path(given.state)
(state / "given.json").write_text(json.dumps(vars(given)))
if (state.parent / "break").exists():
    print("port 4566 is taken by another program", file=sys.stderr)
    sys.exit(3)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
# Asked to end from here on, it has a worker to take along: it ends once it can.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)

def end(*_):
    if (state.parent / "stubborn").exists():
        return
    worker.kill()
    (state / "connection.json").unlink(missing_ok=True)
    (state / "ended").touch()
    os._exit(0)

signal.signal(signal.SIGTERM, end)
url = f"http://127.0.0.1:{server.server_port}"
connection = {"endpoint": url, "ca_bundle": certifi.where(), "region": "us-east-1", "access_key_id": "a",
  "secret_access_key": "s", "pid": os.getpid(), "account": "000000000000", "more": "is ignored",
  "api_url": "http://localhost:8080"}
(state / "connection.new").write_text(json.dumps(connection))
(state / "connection.new").rename(state / "connection.json")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
threading.Thread(target=lambda: (sys.stdin.buffer.read(), end()), daemon=True).start()
server.serve_forever()
"""
_CDK = "#!/bin/sh\ntouch {root}/cdk-runs\nexec sleep 120\n"
_PEDIGREE = """
import sys
from pathlib import Path
from console import laptop, main, process, project
project.Project.here = classmethod(lambda cls: cls(Path({root!r})))
project.Project.programs = Path({root!r}) / "bin"
laptop.STOP_SECONDS = 1.0 if Path({root!r}, "build", "stubborn").exists() else 10.0
main.main()
"""


class Checkout:
    """A folder that looks like one, for real processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._started: list[subprocess.Popen[str]] = []
        for program in ("train", "serve"):
            self._write(f"bin/{program}", "#!/bin/sh\n")
        self._write("local_cloud/__init__.py", "")
        self._write("local_cloud/__main__.py", _LOCAL_CLOUD)
        self._write("node_modules/.bin/cdk", _CDK.format(root=root)).chmod(0o755)
        self._write("app.py", "")

    def _write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def state(self) -> Path:
        return self.root / "build" / "local-cloud"

    def mark(self, name: str) -> None:
        """Change how the fake local cloud behaves."""
        self._write(f"build/{name}", "")

    def pedigree(self, *words: str) -> "subprocess.Popen[str]":
        """Start the real console on this checkout, as a shell starts a job: in a process group of its own."""
        process = subprocess.Popen(
            [sys.executable, "-c", _PEDIGREE.format(root=str(self.root)), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PEDIGREE_ON": "laptop"},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def wait_for(self, name: str) -> Path:
        """Wait until a file is there."""
        for _ in range(1200):
            if (self.root / name).exists():
                return self.root / name
            time.sleep(0.05)
        raise AssertionError(f"{name} did not appear in {self.root}")

    def processes(self) -> list[psutil.Process]:
        """Return what still runs on account of this checkout."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def kill(self) -> None:
        """End what a failed test left running."""
        for process in self._started:
            process.kill()
            process.communicate()
        for left in self.processes():
            with suppress(psutil.NoSuchProcess):  # it has just ended by itself
                left.kill()

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(self.root) or str(self.root) in " ".join(process.cmdline())
        except psutil.Error:
            return False


def interrupt(process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
    """Press Ctrl-C as a terminal does, to the whole foreground group; returns exit code, output and errors."""
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err
