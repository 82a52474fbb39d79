"""Answers as people and as programs read them."""

import json
from pathlib import Path
from typing import Any, Final

from rich.cells import cell_len

from console.prediction.failure import PhotoError
from console.screen import Screen, percent
from contract.inference import Answer

_BAR: Final = 30
# With less room than this a bar tells nothing.
_SHORTEST_BAR: Final = 8
# "100.0 %", and two spaces before and after it and before the label.
_PERCENT: Final = 7
_GAPS: Final = 3 * 2
_EIGHTHS: Final = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_NOT_SURE: Final = "Not sure: this may be nothing that the model knows. Nearest:"


def show_answer(screen: Screen, photo: str, answer: Answer, picture: Path | None = None) -> None:
    """Say what is on a photo: a line for each label, with its probability in figures and as a bar."""
    screen.say(photo, style="bold")
    if answer.confident is False:
        screen.say(f"  {_NOT_SURE}")
    width = max(cell_len(one.label) for one in answer.predictions)
    room = min(_BAR, screen.out.width - width - _PERCENT - _GAPS) if screen.is_live else _BAR
    for one in answer.predictions:
        gap = " " * (width - cell_len(one.label))
        line = f"  {one.label}{gap}  {percent(one.probability):>{_PERCENT}}  {_bar(screen, one.probability, room)}"
        screen.say(line.rstrip())
    if picture is not None and answer.explanation is not None:
        screen.say(f"  What spoke for {answer.explanation.label}: {picture}")


def _bar(screen: Screen, share: float, room: int) -> str:
    if room < _SHORTEST_BAR:
        return ""
    if not screen.has_blocks:
        return "#" * round(room * share)
    whole, eighths = divmod(round(8 * room * share), 8)
    return "█" * whole + _EIGHTHS[eighths]


def show_error(screen: Screen, photo: str, error: PhotoError) -> None:
    """Say why a photo has no answer, and what to do about it."""
    screen.error(f"{photo}: {error.message}", error.hint)


def answer_line(photo: str, answer: Answer, picture: Path | None, *, is_explained: bool) -> str:
    """Return a line of JSON: photo, predictions, confident; ``explanation``, where its picture is, where asked for."""
    said: dict[str, Any] = {
        "photo": photo,
        "predictions": answer.body()["predictions"],
        "confident": answer.confident,
    }
    if is_explained:
        said["explanation"] = None if picture is None else str(picture)
    return json.dumps(said, ensure_ascii=False)


def error_line(photo: str, error: PhotoError) -> str:
    """Return a line of JSON: photo, error."""
    return json.dumps({"photo": photo, **error.body()}, ensure_ascii=False)
