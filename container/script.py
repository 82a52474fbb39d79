"""Running a job's script: its output passed through, signals passed on, the end of its errors kept."""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Final

from container.failure import Outcome

_FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TAIL_BYTES: Final = 65_536
# A grandchild that keeps standard error open must not keep the job running, nor must one that goes on writing there.
_LAST_OUTPUT_SECONDS: Final = 2.0
_MOST_OUTPUT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.01
_PR_SET_PDEATHSIG: Final = 1


class SignalForwarder:
    """Passes SIGTERM, SIGINT and SIGHUP on to the script; before there is one, they end the launcher.

    As process 1 of a container the launcher gets no default handlers from the kernel, so it needs these from its start.
    """

    def __init__(self) -> None:
        self._script: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._kept: list[int] = []
        for number in _FORWARDED:
            signal.signal(number, self._handle)

    def start(self, popen: Callable[[], "subprocess.Popen[bytes]"]) -> "subprocess.Popen[bytes]":
        """Return the script that ``popen`` starts; a signal that comes meanwhile is for the script, which may run."""
        self._starting = True
        try:
            self._script = popen()
        finally:
            self._starting = False
        for number in self._kept:
            self._script.send_signal(number)
        return self._script

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._script is not None:
            self._script.send_signal(number)
        elif self._starting:
            self._kept.append(number)
        else:
            raise SystemExit(128 + number)


class _ErrorTail(threading.Thread):
    """Copies a pipe to this process's standard error as it comes, and keeps its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._descriptor = pipe.fileno()
        self._kept = b""

    def run(self) -> None:
        """Copy until the other side closes."""
        while chunk := os.read(self._descriptor, _TAIL_BYTES):
            self._kept = (self._kept + chunk)[-_TAIL_BYTES:]  # first, for whoever takes the rest may be slow
            sys.stderr.buffer.write(chunk)
            sys.stderr.buffer.flush()

    def text(self) -> str:
        """Return the end of what came: all that the script wrote before it ended, which the pipe holds until then."""
        deadline = time.monotonic() + _MOST_OUTPUT_SECONDS
        self.join(_LAST_OUTPUT_SECONDS)
        while self.is_alive() and self._more_waits() and time.monotonic() < deadline:
            self.join(_POLL_SECONDS)
        return self._kept.decode(errors="replace")

    def _more_waits(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])


def run_script(
    command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str], signals: SignalForwarder
) -> Outcome:
    """Run ``command`` to its end; the script never outlives this process (on Linux; elsewhere see the decision record).

    Its standard output is this process's own; its standard error is copied to this process's.
    """
    process = signals.start(
        lambda: subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_launcher(),  # safe: there is one thread at this point
        )
    )
    assert process.stderr is not None
    tail = _ErrorTail(process.stderr)
    tail.start()
    returncode = process.wait()
    return Outcome(returncode, tail.text())


def _die_with_launcher() -> Callable[[], None] | None:
    """Return what the child calls so that the kernel kills it when the launcher dies; None where only Linux can.

    Elsewhere the child stays in the launcher's process group, which the platform ends as a whole.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    launcher = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:  # it died before the kernel knew of the wish
            os._exit(128 + signal.SIGKILL)

    return in_child
