import io

from console.plain import PlainDisplay
from console.screen import Screen
from tests.console.samples import FAILED, PREPARING, TRAINING, TUNING


def test_every_event_is_one_plain_line(screen: Screen, written: io.StringIO) -> None:
    display = PlainDisplay(screen, {})
    for progress in (PREPARING, TUNING, TUNING, TRAINING, TRAINING):
        display.update(progress)
        display.tick()
    assert written.getvalue().splitlines() == [
        "[0:03] Prepare: started",
        "[0:40] Prepare: done (0:04)",
        "[0:40] Extract features: done before, reused (0:00)",
        "[0:40] Tune: started",
        "[0:40] Tune: trial 1 of 4: lr 0.0123, batch size 64, 5 epochs: 90.0 % validation accuracy",
        "[0:40] Tune: trial 2 of 4: lr 0.0123, batch size 64, 5 epochs: failed",
        "[1:20] Tune: done (0:30)",
        "[1:20] Train: started",
        "[1:20] Train: epoch 1 of 5: train loss 0.5000, train accuracy 80.0 %, "
        "validation loss 0.6123, validation accuracy 75.5 %",
        "[1:20] Train: epoch 2 of 5: train loss 0.5000, train accuracy 80.0 %, "
        "validation loss 0.6123, validation accuracy 75.5 %",
    ]


def test_no_control_character_is_written(screen: Screen, written: io.StringIO) -> None:
    display = PlainDisplay(screen, {})
    for progress in (PREPARING, TUNING, TRAINING, FAILED):
        display.update(progress)
    assert all(character.isprintable() or character == "\n" for character in written.getvalue())


def test_a_step_that_failed_says_so(screen: Screen, written: io.StringIO) -> None:
    PlainDisplay(screen, {}).update(FAILED)
    assert "[1:30] Extract features: failed (1:26)" in written.getvalue().splitlines()


def test_time_left_is_told_where_a_former_run_lets_it_be_judged(screen: Screen, written: io.StringIO) -> None:
    former = {"Register": 0.0, "Gate": 1.0, "Deploy": 9.0, "Smoke test": 2.0}
    PlainDisplay(screen, former).update(TRAINING)
    lines = [line for line in written.getvalue().splitlines() if "epoch" in line]
    # 3 epochs of 10 s, of which 10 s have gone by, then 12 s as last time.
    assert lines[-1].endswith("; about 0:32 left")
    assert "left" not in lines[0]
