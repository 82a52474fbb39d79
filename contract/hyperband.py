"""Hyperband: which trials of a tuning go on, decided alike by the local SageMaker's tuner and by the one-process sweep.

Asynchronous successive halving (ASHA, arXiv:1810.05934) in the brackets of Hyperband (arXiv:1603.06560): the brackets
differ in how early they first look, because what is bad early is not always bad in the end. Nothing is suspended: at a
rung a trial goes on if it is among the best third of those that have reached it by then.
"""

import math
from typing import Final

# The papers' eta: at each rung one trial of three goes on.
FACTOR: Final = 3


class Hyperband:
    """Sees the values of trials, higher is better, at so many resources (epochs) each.

    Trials are numbered from 0; so many in a row belong to each bracket as Hyperband gives it: more to those that end
    more of them. AWS does not say how its own Hyperband does it.
    """

    def __init__(self, minimum: int, maximum: int) -> None:
        """End no trial before ``minimum`` resources, and compare none at ``maximum``, where all end.

        Raises:
            ValueError: it is not 1 <= minimum <= maximum.
        """
        if not 1 <= minimum <= maximum:
            raise ValueError(f"1 <= minimum <= maximum expected, got {minimum} and {maximum}")
        first = [minimum]
        while first[-1] * FACTOR <= maximum:
            first.append(first[-1] * FACTOR)
        self.rungs: Final = [tuple(rung for rung in first[bracket:] if rung < maximum) for bracket in range(len(first))]
        self._members: Final = [bracket for bracket, _ in enumerate(first) for _ in range(_share(len(first), bracket))]
        self._reached: Final[dict[tuple[int, int], list[float]]] = {}

    def bracket(self, trial: int) -> int:
        """Return the bracket of a trial; bracket 0 looks first and ends most."""
        return self._members[trial % len(self._members)]

    def goes_on(self, trial: int, resource: int, value: float) -> bool:
        """Take a trial's value at a resource and tell whether it goes on; as good as the last that does, does too."""
        bracket = self.bracket(trial)
        if resource not in self.rungs[bracket]:
            return True
        reached = self._reached.setdefault((bracket, resource), [])
        reached.append(value)
        better = sum(other > value for other in reached)
        return better < max(1, len(reached) // FACTOR)


def _share(brackets: int, bracket: int) -> int:
    """Return how many trials a bracket gets for those that the others get, rounded up as in the paper's Algorithm 1."""
    halvings = brackets - 1 - bracket
    return math.ceil(brackets * int(FACTOR**halvings) / (halvings + 1))
