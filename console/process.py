"""Child processes in sessions of their own: Ctrl-C reaches only us, and we end them with all they started."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from console.interrupts import shielded

GRACE_SECONDS: Final = 20.0


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    log: Path,
    *,
    stdin: int = subprocess.DEVNULL,
) -> "subprocess.Popen[bytes]":
    """Start a command in a session of its own with its output appended to ``log``."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: "subprocess.Popen[bytes]", grace: float = GRACE_SECONDS) -> None:
    """End a child and everything it started: SIGTERM to it, a while for it to tidy up, SIGKILL to what is left."""
    with shielded():
        if process.poll() is None:
            end_tree(psutil.Process(process.pid), grace)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def end_tree(process: psutil.Process, grace: float = GRACE_SECONDS) -> None:
    """End any process and everything below it in the same way."""
    with shielded():
        with _halted(process):  # or what it starts just now might outlive it, unknown to us
            family = _family(process)
            _each(family[:1], "terminate")
        psutil.wait_procs(family[:1], timeout=grace)
        # What it started meanwhile is found by asking again; what it left behind is in the first list.
        _each([*_family(process), *family], "kill")
        psutil.wait_procs(family, timeout=grace)


@contextmanager
def _halted(process: psutil.Process) -> Iterator[None]:
    """Have a process stand still within the block."""
    _each([process], "suspend")
    try:
        yield
    finally:
        _each([process], "resume")


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def _each(processes: list[psutil.Process], verb: str) -> None:
    for process in processes:
        try:
            getattr(process, verb)()  # psutil compares creation times: a reused process id is never hit
        except psutil.NoSuchProcess:
            continue


def run_logged(command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Run a command with its output appended to ``log``; returns its exit code. Asked to stop, ends it first."""
    with log.open("a", encoding="utf-8") as heading:
        heading.write(f"$ {' '.join(command)}\n")
    process = None
    try:
        with shielded():
            process = start(command, environment, cwd, log)
        return process.wait()
    finally:
        if process is not None:
            end(process)


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, or a note that there is none."""
    if not log.is_file():
        return f"({log} was not written)"
    text = log.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])
