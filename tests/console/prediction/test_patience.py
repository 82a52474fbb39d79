import io
from collections.abc import Callable

import httpx
import pytest
from rich.console import Console

from console.prediction.patience import ATTEMPTS, SECONDS, Patience, retry_after
from console.screen import Screen

NOON = "Mon, 23 Nov 2026 12:00:00 GMT"


def answers(*statuses: int, **headers: str) -> Callable[[], httpx.Response]:
    """Answer with these statuses, the last one for ever."""
    left = list(statuses)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: httpx.Response(left.pop(0) if len(left) > 1 else left[0], headers=named)


def test_pauses_grow_where_the_api_does_not_say_how_long(patience: Patience, pauses: list[float]) -> None:
    reply = patience.send(answers(503))
    assert pauses == [1, 2, 4, 8]
    assert (reply.attempts, reply.response.status_code, reply.retry_after) == (ATTEMPTS, 503, None)


@pytest.mark.parametrize(("drawn", "pause"), [(0.0, 0.5), (1.0, 1.5)])
def test_clients_refused_together_do_not_come_back_together(screen: Screen, drawn: float, pause: float) -> None:
    pauses: list[float] = []
    Patience(screen, sleep=pauses.append, draw=lambda: drawn).send(answers(429, 200))
    assert pauses == [pause]


def test_the_api_is_left_alone_for_at_least_as_long_as_it_wants(patience: Patience, pauses: list[float]) -> None:
    patience.send(answers(429, 429, 200, Retry_After="7"))
    assert pauses == [7.5, 7.5]


def test_the_pauses_together_are_bounded(patience: Patience, pauses: list[float]) -> None:
    reply = patience.send(answers(503, Retry_After="25"))
    assert pauses == [25.5, 25.5]
    assert (reply.attempts, reply.retry_after) == (3, 25)


def test_an_api_that_answers_nothing_is_not_waited_for_with_every_photo(
    patience: Patience, pauses: list[float]
) -> None:
    for _ in range(50):
        patience.send(answers(503))
    assert sum(pauses) <= SECONDS


def test_an_answer_restores_the_patience(patience: Patience, pauses: list[float]) -> None:
    for _ in range(10):
        assert patience.send(answers(429, 200, Retry_After="40")).response.status_code == 200
    assert pauses == [40.5] * 10


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")])
def test_where_no_connection_came_about_it_is_tried_once_more(
    patience: Patience, pauses: list[float], error: Exception
) -> None:
    outcomes: list[Exception | httpx.Response] = [error, httpx.Response(200), error, error]

    def request() -> httpx.Response:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert patience.send(request).response.status_code == 200
    with pytest.raises(type(error)):
        patience.send(request)
    assert (pauses, outcomes) == ([1, 1], [])


@pytest.mark.parametrize("error", [httpx.ReadError, httpx.WriteError, httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_what_may_have_been_sent_is_not_sent_again(
    patience: Patience, pauses: list[float], error: type[httpx.TransportError]
) -> None:
    def request() -> httpx.Response:
        raise error("lost")

    with pytest.raises(error):
        patience.send(request)
    assert pauses == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 30 ", 30),
        ("9" * 5000, 86_400),
        ("Mon, 23 Nov 2026 12:00:20 GMT", 20),
        ("Mon, 23 Nov 2026 13:00:20 +0100", 20),
        ("Mon, 23 Nov 2026 12:00:20 -0000", 20),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 9999 11:00:00 GMT", 86_400),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Mon, 99 Nov 2026 12:00:00 GMT", None),
        ("Mon, 23 Nov 99999 12:00:00 GMT", None),
        ("Mon, 23 Nov 2026 12:00:00 +9999999999", None),
    ],
)
def test_a_wish_to_be_left_alone_is_read_as_seconds_and_as_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(httpx.Response(503, headers={"Retry-After": text, "Date": NOON})) == seconds


def test_a_date_is_held_against_this_clock_where_the_api_does_not_tell_its_own() -> None:
    assert retry_after(httpx.Response(503, headers={"Retry-After": NOON.replace("2026", "2001")})) == 0
    assert retry_after(httpx.Response(503)) is None


@pytest.mark.parametrize(("term", "is_told"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_terminal_sees_how_long_it_waits_and_a_log_does_not(pauses: list[float], term: str, is_told: bool) -> None:
    file = io.StringIO()
    err = Console(file=file, force_terminal=bool(term), width=100, _environ={"TERM": term})
    patience = Patience(Screen(err=err), sleep=pauses.append, draw=lambda: 0.0)
    patience.send(answers(429, 200, Retry_After="12"))
    assert ("The API is busy (429). Asking again in 12 s" in file.getvalue()) is is_told
    assert is_told or file.getvalue() == ""
