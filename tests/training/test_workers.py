import os
import time

import pytest

from training.errors import PhotosError
from training.workers import cores, map_in_processes

# Worker processes cannot import a test module: they evaluate expressions.
KILL = "__import__('os').kill(__import__('os').getpid(), 9)"


def silent(_: str) -> None:
    return


def test_results_are_in_the_order_of_the_items() -> None:
    items = [f"2 * {n}" for n in range(100)]
    assert map_in_processes(eval, items, what="x", say=silent, processes=2) == [2 * n for n in range(100)]


def test_few_items_are_not_worth_a_process() -> None:
    items = ["__import__('os').getpid()"] * 10
    assert set(map_in_processes(eval, items, what="x", say=silent)) == {os.getpid()}


def test_many_items_are_spread_over_processes() -> None:
    items = ["__import__('os').getpid()"] * 100
    found: set[int] = set(map_in_processes(eval, items, what="x", say=silent, processes=2))
    assert os.getpid() not in found


def test_no_items_are_no_work() -> None:
    assert map_in_processes(eval, [], what="x", say=silent) == []


def test_a_killed_worker_is_an_error_that_says_why_it_may_be() -> None:
    with pytest.raises(PhotosError, match="a worker process was killed, most likely for lack of memory"):
        map_in_processes(eval, ["1"] * 40 + [KILL], what="x", say=silent, processes=2)


def test_an_error_in_a_worker_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        map_in_processes(eval, ["1"] * 40 + ["1 / 0"], what="x", say=silent, processes=2)


def test_progress_tells_the_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.workers._PROGRESS_SECONDS", 0.02)
    said: list[str] = []
    map_in_processes(time.sleep, [0.01] * 20, what="photos", say=said.append)
    assert " of 20 photos, " in said[0]
    assert said[0].endswith(" s left")


def test_this_machine_has_a_core() -> None:
    assert cores() >= 1
