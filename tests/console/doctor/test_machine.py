"""This machine: programs, disk, ports."""

import socket
from pathlib import Path

import pytest

from console.doctor import machine
from console.doctor.result import State, Subject
from console.laptop import Laptop
from console.project import Project
from console.screen import Screen
from tests.console.doctor.subjects import only


def test_a_missing_cdk_cli_is_told_with_the_command(subject: Subject) -> None:
    result = only(machine.cdk_cli(subject))
    assert (result.state, result.todo) == (State.PROBLEM, ("make setup",))


def test_an_old_node_is_a_problem(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "node"
    program.write_text("#!/bin/sh\necho v18.20.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = only(machine.node(subject))
    assert result.state is State.PROBLEM
    assert result.found == "v18.20.0; 20 or newer is needed"


def test_a_missing_node_is_a_problem(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not on the PATH" in only(machine.node(subject)).found


@pytest.mark.parametrize(
    ("free", "state"), [(50e9, State.OK), (5e9, State.WARNING), (1e9, State.PROBLEM)], ids=["much", "some", "none"]
)
def test_a_full_disk_is_told(subject: Subject, monkeypatch: pytest.MonkeyPatch, free: float, state: State) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": free}))
    assert only(machine.disk(subject)).state is state


def test_a_busy_port_names_its_holder_and_a_free_one(
    tmp_path: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PEDIGREE_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("PEDIGREE_API_PORT", str(free.getsockname()[1]))
        free.close()
        project = Project(tmp_path)
        busy, other = machine.ports(Subject(project, Laptop(project, screen), {}, "toy"))
    assert busy.state is State.PROBLEM
    assert "is busy: process" in busy.found
    assert busy.todo[0].startswith("export PEDIGREE_PORT=")
    assert other.state is State.OK


def test_a_port_that_is_none_is_a_problem(tmp_path: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_PORT", "http")
    project = Project(tmp_path)
    first = next(machine.ports(Subject(project, Laptop(project, screen), {}, "toy")))
    assert (first.state, first.todo) == (State.PROBLEM, ("unset PEDIGREE_PORT",))
