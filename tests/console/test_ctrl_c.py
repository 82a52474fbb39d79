import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.fake_checkout import Checkout, interrupt


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    checkout = Checkout(tmp_path)
    yield checkout
    checkout.kill()


def _assert_nothing_is_left(checkout: Checkout) -> None:
    assert checkout.processes() == []
    assert not list(checkout.root.rglob("*.new"))
    assert not list(checkout.root.rglob(".*.json.*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_stopped_while_the_cdk_works_leaves_no_process(checkout: Checkout, number: signal.Signals) -> None:
    process = checkout.pedigree("deploy")
    checkout.wait_for("cdk-runs")
    code, _, err = interrupt(process, number)
    assert code == 130
    assert err.splitlines()[-1] == "Stopped."
    assert "Traceback" not in err
    assert (checkout.state / "ended").exists()
    _assert_nothing_is_left(checkout)


def test_a_second_ctrl_c_is_harmless(checkout: Checkout) -> None:
    checkout.mark("stubborn")  # so that there is time for it
    process = checkout.pedigree("deploy")
    checkout.wait_for("cdk-runs")
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    code, _, err = interrupt(process)
    assert code == 130
    assert "Traceback" not in err
    _assert_nothing_is_left(checkout)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_the_local_cloud_starts_leaves_no_process(checkout: Checkout, delay: float) -> None:
    process = checkout.pedigree("run")
    checkout.wait_for("build/local-cloud")
    time.sleep(delay)
    code, _, err = interrupt(process)
    assert code == 130
    assert "Traceback" not in err
    _assert_nothing_is_left(checkout)


def test_a_killed_console_takes_its_local_cloud_along(checkout: Checkout) -> None:
    process = checkout.pedigree("deploy")
    checkout.wait_for("cdk-runs")
    interrupt(process, signal.SIGKILL)
    checkout.wait_for("build/local-cloud/ended")


def test_a_local_cloud_that_cannot_start_is_told_with_its_own_words(checkout: Checkout) -> None:
    checkout.mark("break")
    process = checkout.pedigree("run")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "ended with code 3 while starting" in err
    assert "port 4566 is taken by another program" in err
    assert "Traceback" not in err


def test_a_running_local_cloud_is_used_and_left_running(checkout: Checkout) -> None:
    first = checkout.pedigree("deploy")
    checkout.wait_for("cdk-runs").unlink()
    second = checkout.pedigree("deploy")
    checkout.wait_for("cdk-runs")
    interrupt(second)
    assert first.poll() is None
    assert not (checkout.state / "ended").exists()
    interrupt(first)
    _assert_nothing_is_left(checkout)


def test_down_ends_a_running_local_cloud_and_removes_its_state(checkout: Checkout) -> None:
    first = checkout.pedigree("deploy")
    checkout.wait_for("cdk-runs")
    second = checkout.pedigree("down", "--yes")
    out, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    assert f"Removed {checkout.state}." in out
    assert not checkout.state.exists()
    interrupt(first)
    _assert_nothing_is_left(checkout)


def test_down_asks_first(checkout: Checkout) -> None:
    checkout.state.mkdir(parents=True)
    process = checkout.pedigree("down")
    process.communicate(timeout=30)
    assert process.returncode == 1
    assert checkout.state.exists()
