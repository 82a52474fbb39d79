"""What is to be done about an endpoint, by the clock alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from infra.reaper.memory import Memory


class Action(Enum):
    """What comes next."""

    NOTHING = "nothing"
    TELL = "tell"
    DELETE = "delete"


@dataclass(frozen=True)
class Patience:
    """How long an endpoint may be idle, and how long before its deletion somebody is told."""

    idle: timedelta
    notice: timedelta


def decide(memory: Memory, last_invocation: datetime | None, now: datetime, patience: Patience) -> Action:
    """Return what to do about an endpoint that is in service.

    It is idle since its last invocation, or since its present configuration was first seen in service. A notice given
    before that was about another idleness: after every invocation, the full time starts anew.
    """
    idle_since = max(memory.seen, last_invocation or memory.seen)
    if memory.told is None or memory.told < idle_since:
        return Action.TELL if now >= idle_since + patience.idle - patience.notice else Action.NOTHING
    return Action.DELETE if now >= end_of(idle_since, memory.told, patience) else Action.NOTHING


def end_of(idle_since: datetime, told: datetime, patience: Patience) -> datetime:
    """Return when an idle endpoint is deleted: never earlier than a notice before."""
    return max(idle_since + patience.idle, told + patience.notice)
