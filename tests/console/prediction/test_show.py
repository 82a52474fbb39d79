import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from console.prediction.failure import Cause, PhotoError
from console.prediction.show import answer_line, error_line, show_answer
from console.screen import Screen
from contract.inference import Answer, Explanation, Prediction

ANSWER = Answer([Prediction("Bouvier des Flandres", 0.97), Prediction("Boxer", 0.0296), Prediction("秋田犬", 0.0004)])


def terminal(width: int = 100, encoding: str = "utf-8") -> tuple[Screen, io.BytesIO]:
    written = io.BytesIO()
    file = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    console = Console(file=file, force_terminal=True, width=width, color_system=None, _environ={"TERM": "xterm"})
    return Screen(console), written


def test_labels_figures_and_bars_stand_below_each_other(screen: Screen, written: io.StringIO) -> None:
    show_answer(screen, "dog.jpg", ANSWER)
    assert written.getvalue().splitlines() == [
        "dog.jpg",
        f"  Bouvier des Flandres   97.0 %  {'#' * 29}",
        "  Boxer                   3.0 %  #",
        "  秋田犬                  0.0 %",
    ]


def test_characters_of_two_columns_are_counted_as_two(screen: Screen, written: io.StringIO) -> None:
    show_answer(screen, "dog.jpg", Answer([Prediction("秋田犬", 0.5), Prediction("Boxer", 0.5)]))
    bar = "#" * 15
    assert written.getvalue().splitlines()[1:] == [f"  秋田犬   50.0 %  {bar}", f"  Boxer    50.0 %  {bar}"]


def test_a_terminal_has_bars_to_an_eighth_of_a_character() -> None:
    screen, written = terminal()
    show_answer(screen, "dog.jpg", ANSWER)
    first, second = written.getvalue().decode().splitlines()[1:3]
    assert first.endswith(f"  {'█' * 29}▏")
    assert second.endswith("  ▉")


def test_a_terminal_without_such_characters_has_plain_bars() -> None:
    screen, written = terminal(encoding="ascii")
    show_answer(screen, "dog.jpg", Answer([Prediction("Boxer", 0.5)]))
    assert written.getvalue().decode().endswith(f"50.0 %  {'#' * 15}\n")


@pytest.mark.parametrize("width", [35, 45, 60])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    screen, written = terminal(width)
    show_answer(screen, "dog.jpg", Answer([Prediction("Bouvier des Flandres", 1.0), Prediction("Boxer", 0.0)]))
    assert max(len(line) for line in written.getvalue().decode().splitlines()) <= width


@pytest.mark.parametrize(("confident", "is_told"), [(None, False), (True, False), (False, True)])
def test_an_answer_that_the_model_is_not_sure_of_is_told_so_in_words(
    screen: Screen, written: io.StringIO, confident: bool | None, is_told: bool
) -> None:
    show_answer(screen, "dog.jpg", Answer(ANSWER.predictions, confident))
    assert ("Not sure: this may be nothing that the model knows" in written.getvalue()) is is_told


def test_it_is_told_where_the_picture_is_and_what_it_explains(screen: Screen, written: io.StringIO) -> None:
    explained = Answer(ANSWER.predictions, None, Explanation("Boxer", b"picture"))
    show_answer(screen, "dog.jpg", explained, Path("looked.jpg"))
    assert "What spoke for Boxer: looked.jpg" in written.getvalue()


def test_names_are_shown_as_they_are(screen: Screen, written: io.StringIO) -> None:
    show_answer(screen, "[bold]:dog:.jpg", Answer([Prediction("[red]:cat:", 1.0)]))
    assert "[bold]:dog:.jpg" in written.getvalue()
    assert "[red]:cat:" in written.getvalue()


def test_a_line_for_programs_has_always_the_same_fields() -> None:
    boxer = Answer([Prediction("Boxer", 0.97)])
    assert json.loads(answer_line("a.jpg", boxer, None, is_explained=False)) == {
        "photo": "a.jpg",
        "predictions": [{"label": "Boxer", "probability": 0.97}],
        "confident": None,
    }
    sure = Answer(boxer.predictions, True, Explanation("Boxer", b"picture"))
    explained = json.loads(answer_line("a.jpg", sure, Path("looked.jpg"), is_explained=True))
    assert (explained["confident"], explained["explanation"]) == (True, "looked.jpg")
    assert json.loads(answer_line("a.jpg", sure, None, is_explained=True))["explanation"] is None


def test_an_error_for_programs_has_the_shape_of_the_apis_own() -> None:
    assert json.loads(error_line("a.jpg", PhotoError(Cause.UNREADABLE, "No such file.", "Look again."))) == {
        "photo": "a.jpg",
        "error": {"code": "PhotoUnreadable", "message": "No such file.", "request_id": None},
    }
