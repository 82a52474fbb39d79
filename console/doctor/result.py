"""What a check looks at, and what it finds."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from console.cloud import Cloud
from console.project import Project


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it may work, or could not be found out
    PROBLEM = "problem"  # it will not work


@dataclass(frozen=True)
class Result:
    """One finding; ``todo`` is ready to be copied where it is a command."""

    name: str
    state: State
    found: str
    todo: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What is examined: a stage, where it is to run, and which photos it is to learn from."""

    project: Project
    cloud: Cloud
    settings: Mapping[str, Any]
    source: str


Check = Callable[[Subject], Iterable[Result]]


def ok(name: str, found: str) -> Result:
    """Return that nothing is wrong."""
    return Result(name, State.OK, found)


def warning(name: str, found: str, *todo: str) -> Result:
    """Return that something may be wrong."""
    return Result(name, State.WARNING, found, todo)


def problem(name: str, found: str, *todo: str) -> Result:
    """Return that something is wrong."""
    return Result(name, State.PROBLEM, found, todo)
