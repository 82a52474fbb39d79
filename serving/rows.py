"""What was said of many photos as a table (CSV) or as JSON lines."""

import csv
import json
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from contract.inference import Answer, InferenceError

COLUMNS: Final = ("photo", "label", "probability", "confident", "second", "second_probability", "error")
# Spreadsheets take what begins so for a formula, and carry it out (OWASP, CSV injection).
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


class Rows(Protocol):
    """Takes one photo after the other."""

    def add(self, photo: str, said: Answer | InferenceError) -> None:
        """Write a photo's row."""


class CsvRows:
    """A table with a heading; the best two labels of each photo."""

    def __init__(self, file: TextIO) -> None:
        """Write the heading into a file that was opened with newline=""."""
        # Every text in quotes: a name may hold a line break of any kind.
        self._writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, photo: str, said: Answer | InferenceError) -> None:
        """Write a row; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
        row: list[str | float] = [_cell(printable(photo))]
        if isinstance(said, InferenceError):
            row += ["", "", "", "", "", _cell(printable(said.message))]
        else:
            sure = "" if said.confident is None else str(said.confident).lower()
            best, *others = said.predictions
            row += [_cell(best.label), round(best.probability, 6), sure]
            row += [_cell(others[0].label), round(others[0].probability, 6)] if others else ["", ""]
            row.append("")
        self._writer.writerow(row)


class JsonRows:
    """One JSON object a line: the photo, and what the endpoint answers for it."""

    def __init__(self, file: TextIO) -> None:
        """Write into ``file``."""
        self._file = file

    def add(self, photo: str, said: Answer | InferenceError) -> None:
        """Write a line; names are as they are."""
        body = said.answer() if isinstance(said, InferenceError) else said.body()
        self._file.write(json.dumps({"photo": printable(photo)} | body, ensure_ascii=False) + "\n")


FORMATS: Final[dict[str, Callable[[TextIO], Rows]]] = {"csv": CsvRows, "jsonl": JsonRows}


def printable(name: str) -> str:
    r"""Return a file's name so that it can be written as UTF-8: bytes that are no text as ``\udcff``."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULAS) else text
