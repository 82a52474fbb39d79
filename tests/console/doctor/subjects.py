"""A stage on an AWS whose answers are scripted, and what the checks' tests have in common."""

from collections.abc import Iterable

from console.doctor.result import Result, State, Subject
from tests.console.fakes import FakeCloud


class FakeAws(FakeCloud):
    name = "aws"
    stage = "dev"


def from_source(subject: Subject, source: str) -> Subject:
    return Subject(subject.project, subject.cloud, subject.settings, source)


def only(found: Iterable[Result]) -> Result:
    (result,) = found
    assert (result.state is State.OK) == (not result.todo), "what is wrong comes with what to do"
    return result
