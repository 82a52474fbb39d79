"""Whether the job gets on: what its loops say after every piece of work, and what the watchdog asks.

Progress is a piece of work that was finished: a batch of photos decoded, a batch run through the frozen or the trained
part of the backbone (training, validation, test), a line of the log. Waiting and computing without an end are none.
"""

from typing import Final


class Pulse:
    """Counts finished pieces of work, from any thread."""

    def __init__(self) -> None:
        self._beats = 0

    @property
    def beats(self) -> int:
        """How many there were so far; only whether it changes matters."""
        return self._beats

    def beat(self) -> None:
        """Say that a piece of work is finished; two threads at once may count as one."""
        self._beats += 1


# A process has one, as it has one log: whoever works says so, without knowing who asks.
PULSE: Final = Pulse()
