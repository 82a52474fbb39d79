import io

from rich.console import Console

from console.live import LiveDisplay, render
from console.progress import Progress
from console.screen import Screen
from tests.console.samples import FAILED, PREPARING, TRAINING, TUNING, trial


def _text(progress: Progress, *, is_final: bool = False) -> str:
    console = Console(file=io.StringIO(), width=100, record=True, force_terminal=True)
    console.print(render(progress, {"Register": 0.0, "Gate": 1.0, "Deploy": 9.0, "Smoke test": 2.0}, is_final=is_final))
    return console.export_text()


def test_all_steps_are_shown_with_their_marks() -> None:
    lines = _text(TUNING).splitlines()
    assert lines[0].startswith("✓")
    assert "Prepare" in lines[0]
    assert "0:04" in lines[0]
    assert "reused" in lines[1]
    assert lines[2].startswith("▶")
    assert "2 of 4 trials, best 90.0 %" in lines[2]


def test_trials_are_a_table_while_they_run() -> None:
    text = _text(TUNING)
    assert "batch size" in text
    assert "InProgress" in text


def test_the_training_is_epochs_a_bar_and_the_time_left() -> None:
    text = _text(TRAINING)
    assert "0.6123" in text
    assert "75.5 %" in text
    assert "epoch 2 of 5, about 0:20 left" in text
    assert "1:20 so far, about 0:32 left" in text
    assert "Trials" not in text


def test_the_last_picture_shows_everything() -> None:
    text = _text(TRAINING, is_final=True)
    assert "Trials" in text
    assert "Final training" in text


def test_while_it_goes_on_it_fits_a_terminal_of_24_lines() -> None:
    many = tuple(trial(number) for number in range(1, 60))
    assert len(_text(Progress(**{**vars(TUNING), "trials": many})).splitlines()) <= 24


def test_a_failed_step_is_marked() -> None:
    assert _text(FAILED).splitlines()[1].startswith("✗")


def test_the_display_draws_in_place_and_leaves_the_last_picture() -> None:
    written = io.StringIO()
    console = Console(file=written, width=100, force_terminal=True, _environ={"TERM": "xterm"})
    with LiveDisplay(Screen(console, console), {}) as display:
        display.update(PREPARING)
        display.tick()
        display.update(TRAINING)
    assert "\x1b[" in written.getvalue()
    assert "Final training" in written.getvalue()
    assert "\x1b[?25h" in written.getvalue()  # the cursor is back
