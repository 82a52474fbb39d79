"""What is lost, told from what a load client saw."""

import pytest

from benchmarks.bench_serving_faults import ended_figures, killed_figures, statuses
from benchmarks.serving.exchanges import HUNG, LOST, REFUSED, Exchange, Load

STRUCK = 100.0
EARLIER = Exchange(90.0, 1.0, 200)


def seen(*exchanges: Exchange) -> Load:
    return Load(80.0, 130.0, [EARLIER, *exchanges], 0.1)


def test_a_killed_model_process_costs_the_requests_in_flight_and_no_other() -> None:
    running, queued = Exchange(99.0, 1.1, 503), Exchange(99.5, 6.0, 200)
    later, next_one = Exchange(101.0, 4.0, 200), Exchange(110.0, 1.0, 200)
    figures, note = killed_figures(seen(running, queued, later, next_one), STRUCK)
    assert figures == {
        "kill_failed_over_in_flight": 0.5,
        "kill_unanswered": 0.0,
        "kill_refused": 0.0,
        "kill_restart_over_10s": 0.5,
    }
    assert "2 in flight, 1 failed (503: 1; within 0.10 s)" in note


def test_a_request_that_hangs_or_is_cut_is_unanswered_and_an_error_afterwards_is_a_refusal() -> None:
    load = seen(Exchange(99.0, 60.0, HUNG), Exchange(99.0, 2.0, LOST), Exchange(101.0, 0.1, 503))
    figures, note = killed_figures(load, STRUCK)
    assert figures["kill_failed_over_in_flight"] == 1.0
    assert figures["kill_unanswered"] == 2.0
    assert figures["kill_refused"] == 1.0
    assert figures["kill_restart_over_10s"] == 3.0  # at least: 30 s until the end of the load
    assert "NOT served again" in note


def test_a_server_that_ends_well_loses_nothing_that_was_sent_before() -> None:
    load = seen(Exchange(99.0, 2.5, 200), Exchange(101.0, 0.0, LOST), Exchange(102.0, 0.0, REFUSED))
    figures, note = ended_figures(load, STRUCK, 0)
    assert figures == {"end_lost": 0.0}
    assert "1 in flight" in note
    assert "the last answered after 1.50 s" in note
    assert "open connections: lost: 1; exit code 0" in note


@pytest.mark.parametrize("status", [LOST, HUNG, 503])
def test_a_server_that_ends_badly_is_told_by_what_was_sent_before(status: int) -> None:
    assert ended_figures(seen(Exchange(99.0, 2.0, status)), STRUCK, 0)[0] == {"end_lost": 1.0}


def test_endings_are_counted_right_ones_first() -> None:
    assert statuses([Exchange(0.0, 1.0, status) for status in (503, 200, 503)]) == "200: 1, 503: 2"
    assert statuses([]) == "none"
