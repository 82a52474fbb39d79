import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from container.failure import error_message
from contract.findings import Severity
from training.pulse import PULSE, Pulse
from training.watchdog import STALLED_AFTER, Watchdog, stall_finding

ROOT = Path(__file__).parents[2]


class StalledError(Exception):
    """What the tests stop a training with."""


def _stop(seconds: float, where: str) -> Exception:
    return StalledError(stall_finding(seconds, where).sentence)


class GettingOn(Pulse):
    """Beats until the test hangs: what comes before that takes as long as it takes."""

    hangs = False

    @property
    def beats(self) -> int:
        if not self.hangs:
            self.beat()
        return super().beats

    def hang(self) -> None:
        self.hangs = True
        threading.Event().wait(60)


def test_a_loader_that_never_answers_is_left_with_the_place_where_it_hung() -> None:
    pulse = GettingOn()
    with pytest.raises(StalledError, match=r"waits at tests/training/test_watchdog.py:\d+"):  # noqa: SIM117
        with Watchdog(0.2, _stop, pulse):
            pulse.hang()


def test_work_that_goes_on_is_never_stopped_however_long_it_takes() -> None:
    pulse, called = Pulse(), []

    def on_stall(seconds: float, where: str) -> None:
        called.append(where)

    with Watchdog(5.0, on_stall, pulse):
        for _ in range(30):
            pulse.beat()
            time.sleep(0.01)
    assert called == []


def test_a_stall_may_be_told_of_only() -> None:
    told = threading.Event()

    def on_stall(seconds: float, where: str) -> None:
        told.set()

    with Watchdog(0.1, on_stall, Pulse()):
        assert told.wait(60)
    # and the work goes on


HANGING_POOL = """
import threading
from concurrent.futures import ThreadPoolExecutor
from training.pulse import Pulse
from training.watchdog import Watchdog, stall_finding

class TrainingStopped(Exception):
    pass

with Watchdog(1.0, lambda seconds, where: TrainingStopped(stall_finding(seconds, where).sentence), Pulse(), grace=0.3):
    with ThreadPoolExecutor(1) as pool:  # its end waits for the thread, which waits for ever
        pool.submit(threading.Event().wait).result()
"""


def test_a_pool_that_waits_for_its_hanging_thread_cannot_keep_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING_POOL], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "most recent call first" in done.stderr  # where every thread was
    assert error_message(done.stderr).startswith("TrainingStopped: StalledTraining: Nothing was finished for")


OUT_BUT_NOT_OVER = """
import threading
from training.pulse import Pulse
from training.watchdog import Watchdog

threading.Thread(target=threading.Event().wait).start()  # keeps the interpreter from ending
with Watchdog(0.2, lambda seconds, where: ValueError("stalled"), Pulse(), grace=0.3):
    threading.Event().wait()
"""


def test_a_thread_that_outlives_the_stopped_training_cannot_keep_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_BUT_NOT_OVER], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert error_message(done.stderr) == "ValueError: stalled"


def test_the_threshold_is_aws_s_and_the_finding_stops_a_deployment() -> None:
    assert STALLED_AFTER == 1800
    finding = stall_finding(1800, "training/photo_batches.py:80 (_in_order)", 7)
    assert (finding.severity, finding.step) == (Severity.ERROR, 7)
    assert "1,800 seconds; the job waits at training/photo_batches.py:80" in finding.sentence


def test_a_process_has_one_pulse() -> None:
    before = PULSE.beats
    PULSE.beat()
    assert PULSE.beats == before + 1
