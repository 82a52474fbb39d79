"""Which checks are made where, and how their findings are shown."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table

from console.cloud import Cloud
from console.doctor import account, machine, sources
from console.doctor.network import network
from console.doctor.quotas import quotas
from console.doctor.result import Check, Result, State, Subject, problem, warning
from console.errors import ConsoleError
from console.project import Project
from console.screen import Screen
from console.stage_settings import stage_settings

_MACHINE: Final[tuple[Check, ...]] = (machine.python, machine.node, machine.cdk_cli, machine.disk, machine.proxies)
_LAPTOP: Final[tuple[Check, ...]] = (machine.programs, machine.ports, sources.weights, sources.photos)
_AWS: Final[tuple[Check, ...]] = (
    account.identity,
    account.sagemaker,
    account.bootstrap,
    quotas,
    account.debugger,
    network,
    sources.weights,
    sources.photos,
)
# Fast enough to be made before every deployment to AWS.
_QUICK: Final[tuple[Check, ...]] = (machine.node, machine.cdk_cli, account.sagemaker, account.bootstrap)
_MARKS: Final = {State.OK: "[green]ok[/]", State.WARNING: "[yellow]look[/]", State.PROBLEM: "[bold red]fix[/]"}


def examine(project: Project, cloud: Cloud, source: str = "") -> list[Result]:
    """Return all findings; ``source`` stands in for the photos that the settings name."""
    settings = stage_settings(project, cloud.stage)
    subject = Subject(project, cloud, settings, source or settings["defaults"]["source"])
    found = list(_findings(_MACHINE, subject))
    if cloud.name == "laptop":
        return [*found, *_findings(_LAPTOP, subject)]
    try:
        cloud.start()
    except ConsoleError as error:
        return [*found, problem("Credentials", error.message, error.hint)]
    return [*found, *_findings(_AWS, subject)]


def require_quick(project: Project, cloud: Cloud) -> None:
    """Stop before minutes are spent on what cannot work; on AWS only, and only what is asked in a second.

    Raises:
        ConsoleError: the first problem, with what to do.
    """
    if cloud.name != "aws":
        return
    subject = Subject(project, cloud, settings={}, source="")
    for result in _findings(_QUICK, subject):
        if result.state is State.PROBLEM:
            raise ConsoleError(f"{result.name}: {result.found}", "\n".join(result.todo))


def _findings(checks: Sequence[Check], subject: Subject) -> Iterator[Result]:
    for check in checks:
        try:
            yield from check(subject)
        except (ClientError, BotoCoreError) as error:
            name = check.__name__.replace("_", " ").capitalize()
            yield warning(name, f"could not be asked: {error}", "Ask with credentials that may read it")


def show(results: Iterable[Result], screen: Screen) -> None:
    """Print a table of all findings, and below it what to do, unbroken so that it can be copied."""
    found = list(results)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for result in found:
        table.add_row(_MARKS[result.state], _plain(result.name), _plain(result.found))
    screen.show(table)
    screen.say()
    to_do = [result for result in found if result.todo]
    for result in to_do:
        screen.say(f"{result.name}: {result.found}", style="bold")
        for line in result.todo:
            screen.say(f"  {line}")
    if to_do:
        screen.say()
    screen.say(_verdict(found))


def _verdict(found: Sequence[Result]) -> str:
    problems, looks = (sum(result.state is state for result in found) for state in (State.PROBLEM, State.WARNING))
    also = f"; {looks} to look at" if looks else ""
    if not problems:
        return f"Nothing stands in the way{also}."
    return f"{problems} problem{'' if problems == 1 else 's'} to fix{also}."


def as_json(results: Iterable[Result]) -> dict[str, Any]:
    """Return the findings for programs."""
    found = list(results)
    return {"ok": not has_problems(found), "results": [dataclasses.asdict(result) for result in found]}


def has_problems(results: Iterable[Result]) -> bool:
    """Return whether anything will not work."""
    return any(result.state is State.PROBLEM for result in results)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
