"""How a server ends: nobody is asked in any more, and whoever is in is answered, in bounded time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Ending:
    """Whether the server is ending, and until when its requests must be answered; used from one event loop."""

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._running: set[asyncio.Timeout] = set()

    @property
    def begun(self) -> bool:
        """Whether the server is ending."""
        return self._deadline is not None

    def begin(self, seconds: float) -> None:
        """Let no request take longer than ``seconds`` from now."""
        self._deadline = asyncio.get_running_loop().time() + seconds
        for running in self._running:
            if not running.expired():
                running.reschedule(self._at_most(running.when()))

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[None]:
        """Let the block take ``seconds`` at most, less where the server ends before.

        Raises:
            TimeoutError: it took longer.
        """
        when = asyncio.get_running_loop().time() + seconds
        async with asyncio.timeout_at(self._at_most(when)) as running:
            self._running.add(running)
            try:
                yield
            finally:
                self._running.discard(running)

    def _at_most(self, when: float | None) -> float | None:
        return when if self._deadline is None or when is None else min(when, self._deadline)
