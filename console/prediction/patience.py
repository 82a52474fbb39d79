"""How long and how often an API is asked that says it is busy."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from console.screen import Screen

# Statuses after which the same request may succeed: throttled, and no model in service at the moment.
_BUSY: Final = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
ATTEMPTS: Final = 5
# All pauses together, until something is answered again: longer than an endpoint that changes asks for, and shorter
# than anyone would wait at a prompt.
SECONDS: Final = 60.0
# The first pause where the API does not say how long; each further one is twice as long: 15 s in all.
_FIRST_PAUSE: Final = 1.0
# Stands for everything longer.
_DAY: Final = 86_400.0


@dataclass(frozen=True)
class Reply:
    """What was answered at last.

    Attributes:
        response: the last one.
        attempts: how often was asked.
        retry_after: seconds for which the API wants to be left alone; None: it does not say.
    """

    response: httpx.Response
    attempts: int
    retry_after: float | None = None


class Patience:
    """Asks again where that makes sense, for a limited time; an answer restores what the waiting took.

    So a thousand photos may be throttled now and then, but an API that answers none of them is not waited for a
    thousand times.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._screen = screen
        self._sleep = sleep
        self._draw = draw
        self._left = SECONDS
        self._may_reconnect = True

    def send(self, request: Callable[[], httpx.Response]) -> Reply:
        """Return what ``request`` brings, asked again while the API is busy and there is patience left.

        Raises:
            httpx.HTTPError: nothing was answered.
        """
        attempt = 1
        while True:
            response = self._connected(request)
            if response.status_code not in _BUSY:
                self._left = SECONDS
                return Reply(response, attempt)
            asked = retry_after(response)
            pause = self._pause(asked, attempt)
            if attempt == ATTEMPTS or pause > self._left:
                return Reply(response, attempt, asked)
            self._wait(pause, f"The API is busy ({response.status_code}). Asking again in {pause:.0f} s")
            attempt += 1

    def _connected(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        """Send it; where no connection came about, and so nothing was sent, once more."""
        try:
            response = request()
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if not self._may_reconnect:
                raise
            self._may_reconnect = False
            self._sleep(self._pause(None, 1))
            response = request()
        self._may_reconnect = True
        return response

    def _pause(self, asked: float | None, attempt: int) -> float:
        """Return so many seconds that clients who were refused together do not come back together."""
        if asked is not None:
            return asked + self._draw()
        return _FIRST_PAUSE * float(2 ** (attempt - 1)) * (0.5 + self._draw())

    def _wait(self, seconds: float, why: str) -> None:
        self._left -= seconds
        with self._screen.waiting(why):
            self._sleep(seconds)


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds that a response's Retry-After asks for, given as a number or as a date; None: it has none."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), _DAY)
    then = _date(text)
    if then is None:
        return None
    now = _date(response.headers.get("Date", "")) or datetime.now(UTC)  # its own clock, where it tells
    return min(max((then - now).total_seconds(), 0.0), _DAY)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
