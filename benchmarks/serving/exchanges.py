"""What a load client saw: when each request was sent, how long it took, how it ended; and figures of that."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

# How a request ended that has no HTTP status.
LOST: Final = 0  # the connection ended without an answer
REFUSED: Final = -1  # no connection could be made: nothing was sent
HUNG: Final = -2  # neither an answer nor an end of the connection within the client's patience
_ENDINGS: Final = {LOST: "lost", REFUSED: "refused", HUNG: "hung"}


class Exchange(NamedTuple):
    """One request. ``begun`` is time.monotonic() when it was sent or, at a given rate, when it was due."""

    begun: float
    seconds: float
    status: int

    @property
    def ended(self) -> float:
        """When the answer was complete, or the hope for it."""
        return self.begun + self.seconds


@dataclass(frozen=True)
class Load:
    """What one run of the load client saw, from ``begun`` to ``ended`` (time.monotonic()), without its warm-up.

    Attributes:
        exchanges: every request, also those of the warm-up and those answered after the end.
        cpu_share: of one core, taken by the client itself.
    """

    begun: float
    ended: float
    exchanges: Sequence[Exchange]
    cpu_share: float

    @property
    def answered(self) -> list[Exchange]:
        """The requests answered with 200 within the time."""
        return [one for one in self.exchanges if one.status == 200 and self.begun <= one.ended < self.ended]

    @property
    def per_second(self) -> float:
        """Photos answered per second."""
        return len(self.answered) / (self.ended - self.begun)

    def latency(self, share: float) -> float:
        """Return the seconds within which ``share`` of the answers came."""
        return percentile([one.seconds for one in self.answered], share)

    @property
    def failures(self) -> dict[str, int]:
        """How many requests ended otherwise than with 200, by status or ending; warm-up and rest included."""
        counted = Counter(one.status for one in self.exchanges if one.status != 200)
        return {_ENDINGS.get(status, str(status)): count for status, count in sorted(counted.items())}

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        said = {"begun": self.begun, "ended": self.ended, "cpu_share": self.cpu_share, "exchanges": self.exchanges}
        path.write_text(json.dumps(said), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Load":
        """Read what ``save`` wrote."""
        said = json.loads(path.read_text(encoding="utf-8"))
        exchanges = [Exchange(*one) for one in said["exchanges"]]
        return cls(said["begun"], said["ended"], exchanges, said["cpu_share"])


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of ``values`` do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or the share is none.
    """
    ordered = sorted(values)
    if not ordered or not 0 <= share <= 1:
        raise ValueError(f"values and a share of 0 to 1 expected, got {len(ordered)} values, share {share}")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
