"""`pedigree up`: Ctrl-C is the way to end it, however soon it comes."""

import io
import os
import signal

import pytest
from rich.console import Console

from console import up as module
from console.deployment import Deployment
from console.interrupts import caught
from console.laptop import Laptop
from console.project import Project
from console.screen import Screen


class Impatient(Screen):
    """Ctrl-C is pressed as soon as a line says that it may be."""

    def say(self, text: str = "", style: str = "") -> None:
        super().say(text, style)
        if text == "Ctrl-C ends it.":
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_is_no_failure_from_when_it_is_invited(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(Laptop, "start", lambda self: None)
    monkeypatch.setattr(Laptop, "is_ours", True)
    monkeypatch.setattr(Laptop, "stop", lambda self: ended.append(True))
    monkeypatch.setattr(Deployment, "exists", lambda self: True)
    monkeypatch.setattr(module, "deployed", lambda cloud: None)
    monkeypatch.setattr(module, "_introduce", lambda *_: None)
    console = Console(file=io.StringIO())
    screen = Impatient(console, console)
    with caught():
        module.up(project, Laptop(project, screen), screen)
    assert ended == [True]
