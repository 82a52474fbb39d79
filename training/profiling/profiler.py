"""What the training tells a profiler; the one here does nothing with it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from training.profiling.profile import Profile

T = TypeVar("T")


class Phase(StrEnum):
    """What a training does with a second. Where one is named within another, the second is the inner one's alone."""

    WAIT = "wait"  # for photos, or for activations to be gathered from the cache
    COPY = "copy"  # to the device
    FORWARD = "forward"  # with the loss; of the frozen part too, where that is not cached
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    SAVE = "save"  # checkpoints; between two steps
    VALIDATE = "validate"  # between two steps
    OTHER = "other"  # what nothing above claims
    # Before the first step:
    PROBE = "probe"  # fitting the head on cached features
    CACHE = "cache"  # one pass of the frozen part over the photos


class Profiler:
    """Sees what a training does with its time; this one looks away."""

    def phase(self, name: Phase) -> AbstractContextManager[None]:
        """Return a context whose time is the phase's."""
        return nullcontext()

    def waited_for(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time until each is there is waiting."""
        return iter(items)

    def begin(self, steps_before: int) -> None:
        """What follows are steps, after so many; what has passed since the last step is none of theirs."""

    def step(self) -> None:
        """A step has ended here, and the next begins."""

    def describe(
        self, photos_per_step: int, loader_threads: int | None, timed: "Callable[[Profile], Profile] | None" = None
    ) -> None:
        """Say how the steps are fed.

        Args:
            photos_per_step: see ``Setting``.
            loader_threads: that decode photos in the steps; None: activations are cached.
            timed: adds what the loading takes with other numbers of threads; called when all is over.
        """

    def finish(self) -> "Profile | None":
        """Stop looking and return what was seen; None where nothing was."""
        return None

    def close(self) -> None:
        """Stop looking, however the training ended."""


NO_PROFILER: Final = Profiler()
