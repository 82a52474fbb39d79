import os
import signal

import pytest

from console import interrupts
from console.interrupts import Interrupted, caught, shielded


def test_the_first_signal_unwinds() -> None:
    with caught(), pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)


def test_sigterm_is_the_same_wish() -> None:
    with caught(), pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_ctrl_c_does_not_disturb_the_cleaning_up() -> None:
    cleaned = []
    with caught():
        try:
            with pytest.raises(Interrupted):
                os.kill(os.getpid(), signal.SIGINT)
        finally:
            with shielded():
                os.kill(os.getpid(), signal.SIGINT)
                cleaned.append("inner")
            os.kill(os.getpid(), signal.SIGINT)
            cleaned.append("outer")
    assert cleaned == ["inner", "outer"]


def test_a_shielded_block_is_finished_first() -> None:
    done = []

    def work() -> None:
        with shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")

    with caught(), pytest.raises(Interrupted):
        work()
    assert done == ["whole"]


def test_a_wish_is_not_forgotten_when_the_shielded_block_fails() -> None:
    def fail() -> None:
        with shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            raise OSError("disk full")

    with caught(), pytest.raises(Interrupted):
        fail()


def test_nested_shields_hold_until_the_outermost_ends() -> None:
    done = []

    def work() -> None:
        with shielded():
            with shielded():
                os.kill(os.getpid(), signal.SIGINT)
            done.append("outer")

    with caught(), pytest.raises(Interrupted):
        work()
    assert done == ["outer"]


def test_the_same_ctrl_c_passed_on_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_SAME_WISH_SECONDS", 3600.0)
    with caught():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        monkeypatch.setattr(interrupts, "_SAME_WISH_SECONDS", 0.0)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)


def test_after_a_wish_that_was_granted_nothing_disturbs_the_way_out() -> None:
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(Interrupted), caught():
            os.kill(os.getpid(), signal.SIGINT)
        for number in former:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def test_the_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with caught():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_interrupted_is_no_exception_that_code_on_the_way_may_swallow() -> None:
    assert not issubclass(Interrupted, Exception)
