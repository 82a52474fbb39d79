"""The permission trail, a CloudTrail for a laptop: a file of every permission that a role's session asked for."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

# Two files of this size at most: about 60,000 permissions each, several runs of the whole pipeline.
MAX_BYTES: Final = 20_000_000


@dataclass(frozen=True)
class Evaluation:
    """One permission that was asked for.

    Attributes:
        role: ARN of the role.
        session: The session's name: the function, the job, the service that acts.
        action: IAM's name of the action.
        resource: ARN of what it was asked for, or ``*``.
        allowed: The answer.
        context: The condition keys that the request brought with it, in lower case.
        time: Seconds since the epoch.
    """

    role: str
    session: str
    action: str
    resource: str
    allowed: bool
    context: Mapping[str, Any] = field(default_factory=dict)
    time: float = field(default_factory=time.time)


class Trail:
    """Appends evaluations as JSON lines; once the file is full it is put aside, and the one put aside before goes."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        """Write to ``path``, created when there is something to say."""
        self.path = path
        self._aside = former_part(path)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def add(self, evaluation: Evaluation) -> None:
        """Append one line."""
        line = json.dumps(asdict(evaluation), default=str, separators=(",", ":")) + "\n"
        with self._lock:
            if self.path.exists() and self.path.stat().st_size + len(line) > self._max_bytes:
                self.path.replace(self._aside)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)


def former_part(path: Path) -> Path:
    """Return where the full file of a trail is put aside."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def read_trail(path: Path) -> list[Evaluation]:
    """Return everything that is left of a trail, oldest first; a line that is being written just now is left out."""
    found = []
    for part in (former_part(path), path):
        if part.exists():
            *lines, _unfinished = part.read_text(encoding="utf-8").split("\n")
            found += [Evaluation(**json.loads(line)) for line in lines]
    return found
