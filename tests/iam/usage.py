"""What a trail of permissions says about statements: which parts of them nobody ever asked for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from local_cloud.trail import Evaluation
from tests.iam.roles import Role, Statement


@dataclass(frozen=True)
class Unused:
    """One action or resource of a statement that was never asked for."""

    role: str
    sid: str
    part: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.role}, {self.sid}: {self.part} was never asked for"


def unused(roles: Sequence[Role], trail: Sequence[Evaluation], unproven: Mapping[str, str]) -> list[Unused]:
    """Return the superfluous parts of deployed roles: actions and resources that nobody asked for, refused or not.

    Args:
        roles: deployed roles, their resources as IAM has them.
        trail: what was asked for while everything ran that the roles are for.
        unproven: statement ids, or single actions, that cannot be asked for here -> why.
    """
    asked: dict[str, set[tuple[str, str]]] = {}
    for each in trail:
        asked.setdefault(each.role, set()).add((each.action, each.resource))
    found = []
    for role in roles:
        for statement in role.statements:
            if statement.sid not in unproven:
                parts = _unused(statement, asked.get(role.arn, set()), unproven)
                found += [Unused(role.title, statement.sid, part) for part in parts]
    return found


def grants(statement: Statement, evaluation: Evaluation) -> bool:
    """Whether a statement is about the permission of an evaluation, its conditions aside."""
    action = any(_matches(each.lower(), evaluation.action.lower()) for each in statement.actions)
    return action and any(_matches(each, evaluation.resource) for each in statement.resources)


def _unused(statement: Statement, asked: set[tuple[str, str]], unproven: Mapping[str, str]) -> Iterator[str]:
    used = [
        (action, resource)
        for action, resource in asked
        if any(_matches(each.lower(), action.lower()) for each in statement.actions)
        and any(_matches(each, resource) for each in statement.resources)
    ]
    for action in statement.actions:
        if action not in unproven and not any(_matches(action.lower(), each.lower()) for each, _ in used):
            yield action
    if any(action in unproven for action in statement.actions):
        return  # whatever resources that one needs
    for resource in statement.resources:
        if not any(_matches(resource, each) for _, each in used):
            yield resource


def _matches(pattern: str, value: str) -> bool:
    """IAM's wildcards: ``*`` for any characters, ``?`` for one."""
    return pattern == value or _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
