"""Servers as process groups: started, waited for, looked at, ended."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.serving.servers import Kind, ServerFailedError, asked, environment_of, running

# Healthy at once, able to answer at the third photo; a child holds 50 MB.
SCRIPT = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
child = subprocess.Popen([sys.executable, "-c", "import time; held = bytearray(50_000_000); time.sleep(600)"])
class Handler(BaseHTTPRequestHandler):
    photos = 0
    def do_GET(self):
        self.say(200)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.photos += 1
        self.say(200 if Handler.photos > 2 else 503)
    def say(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_server_is_waited_for_until_it_answers_a_photo_and_nothing_of_it_stays(tmp_path: Path) -> None:
    with running(Kind("told", ("-c", SCRIPT, "PORT")), tmp_path, b"photo") as server:
        assert server.ping(patience=60)
        assert asked(server.port, "/invocations", b"photo", patience=60)
        leader, child = server.tree
        assert leader.pid == server.process.pid
        assert server.model_process() == child
        wait_until(lambda: server.memory() >= 50_000_000)
    assert not asked(server.port, "/ping")
    wait_until(lambda: ended(child))


def test_a_server_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Kind("broken", ("-c", "import sys; sys.exit('no Java here')"))
    with pytest.raises(ServerFailedError, match="no Java here"), running(broken, tmp_path, b"photo"):
        pass


def test_a_server_without_children_has_no_model_process(tmp_path: Path) -> None:
    alone = SCRIPT.replace("child = subprocess.Popen", "child = print")
    childless = pytest.raises(ServerFailedError, match="alone has no process besides its own")
    with running(Kind("alone", ("-c", alone, "PORT")), tmp_path, b"photo") as server, childless:
        server.model_process()


def test_the_port_is_put_where_a_server_reads_it_and_all_get_openmp_as_in_the_container(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "1")
    monkeypatch.setenv("SM_MODEL_DIR", "/elsewhere")
    environment = environment_of(Kind("told", (), environment=(("SAGEMAKER_BIND_TO_PORT", "PORT"),)), 4711)
    assert environment["SAGEMAKER_BIND_TO_PORT"] == "4711"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "SM_MODEL_DIR" not in environment
