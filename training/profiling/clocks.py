"""Two clocks: the host's, and a GPU's, which is read without ever waiting for it."""

import time
from typing import Any, Protocol

import torch


class Clock(Protocol):
    """Marks moments; the time between two of them may be known only later."""

    def mark(self) -> Any:
        """Return this moment."""

    def passed(self, mark: Any) -> bool:
        """Return whether the time until ``mark`` can be asked for without waiting."""

    def seconds(self, begun: Any, ended: Any) -> float:
        """Return the seconds between two moments that have passed."""

    def settle(self) -> None:
        """Wait until every moment marked so far has passed."""


class HostClock:
    """For a training on the CPU: what is called has been computed when the call returns."""

    def mark(self) -> float:
        """Return this moment."""
        return time.perf_counter()

    def passed(self, mark: float) -> bool:
        """Return True."""
        return True

    def seconds(self, begun: float, ended: float) -> float:
        """Return the difference."""
        return ended - begun

    def settle(self) -> None:
        """Nothing is under way."""


class CudaClock:
    """For a training on a GPU: events in its stream, so that the host runs ahead as it does without them.

    Between two events lies what the GPU computed, and what it idled while the host had nothing for it yet. Phases cut
    the GPU's time without gaps, so they add up to the step; waiting for photos that is hidden behind the GPU's
    work counts nothing, as it costs nothing.
    """

    def mark(self) -> torch.cuda.Event:
        """Put an event into the current stream."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch has no types here
        event.record()
        return event

    def passed(self, mark: torch.cuda.Event) -> bool:
        """Return whether the GPU has come by."""
        return bool(mark.query())  # type: ignore[no-untyped-call]

    def seconds(self, begun: torch.cuda.Event, ended: torch.cuda.Event) -> float:
        """Return the GPU's time between two events."""
        return float(begun.elapsed_time(ended)) / 1000  # from milliseconds

    def settle(self) -> None:
        """Wait for the GPU, once, at the training's end."""
        torch.cuda.synchronize()


def clock_of(device: torch.device) -> Clock:
    """Return the clock by which the device's work is measured."""
    return CudaClock() if device.type == "cuda" else HostClock()
