import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from console import process
from console.interrupts import Interrupted, caught

_CHILD_WITH_GRANDCHILD = """
import subprocess, sys, time, pathlib
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""
_WAITS = """
import pathlib, time
print("ready", flush=True)
while not pathlib.Path({go!r}).exists():
    time.sleep(0.01)
"""
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


def _wait_for(path: Path) -> str:
    for _ in range(1200):
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


def test_output_and_exit_code_come_back(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"]
    assert process.run_logged(command, os.environ, tmp_path, log) == 3
    text = log.read_text()
    assert text.startswith("$ ")
    assert "out\n" in text
    assert "err\n" in text


def test_ctrl_c_ends_a_running_command_and_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    before = set(psutil.Process().children())  # other tests' CDK keeps a Node process

    def interrupt() -> None:
        _wait_for(note)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with caught(), pytest.raises(Interrupted):
        process.run_logged(
            [sys.executable, "-c", _CHILD_WITH_GRANDCHILD, str(note)], os.environ, tmp_path, tmp_path / "log"
        )
    thread.join()
    assert not psutil.pid_exists(int(note.read_text()))
    assert set(psutil.Process().children()) <= before


def test_what_a_command_would_start_just_when_it_is_ended_is_never_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, note, family = tmp_path / "go", tmp_path / "pid", process._family

    def slowly(of: psutil.Process) -> list[psutil.Process]:
        found = family(of)
        go.touch()
        time.sleep(0.5)
        return found

    monkeypatch.setattr(process, "_family", slowly)
    command = [sys.executable, "-c", _WAITS.format(go=str(go)) + _CHILD_WITH_GRANDCHILD, str(note)]
    child = process.start(command, os.environ, tmp_path, tmp_path / "log")
    _wait_for(tmp_path / "log")
    process.end(child)
    assert not note.exists()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = process.start([sys.executable, "-c", _STUBBORN], os.environ, tmp_path, log)
    _wait_for(log)
    process.end(child, grace=0.2)
    assert not psutil.pid_exists(child.pid)


def test_a_child_does_not_share_our_terminal_session(tmp_path: Path) -> None:
    child = process.start([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, tmp_path, tmp_path / "log")
    try:
        assert os.getsid(child.pid) != os.getsid(0)
    finally:
        process.end(child)


def test_ending_what_has_ended_is_harmless(tmp_path: Path) -> None:
    child = process.start([sys.executable, "-c", ""], os.environ, tmp_path, tmp_path / "log")
    child.wait()
    process.end(child)


def test_the_tail_of_a_missing_log_says_so(tmp_path: Path) -> None:
    assert "was not written" in process.tail(tmp_path / "log")


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(map(str, range(100))))
    assert process.tail(tmp_path / "log", 2) == "98\n99"
