import csv
import io
import json
import os

import pytest

from contract.inference import Answer, ErrorCode, InferenceError, Prediction
from serving.rows import COLUMNS, CsvRows, JsonRows

BOXER = Answer([Prediction("Boxer", 0.91234567), Prediction("Pug", 0.05)], True)
DAMAGED = InferenceError(ErrorCode.BAD_IMAGE, 'the photo is "damaged", or truncated')
ODD = ["a\nb.jpg", "a\rb.jpg", 'a"b,c.jpg', "Мопс 🐶.jpg", " a.jpg "]


def table(photo: str, said: Answer | InferenceError) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    CsvRows(file).add(photo, said)
    file.seek(0)
    return list(csv.DictReader(file))


def line(photo: str, said: Answer | InferenceError) -> dict[str, object]:
    file = io.StringIO(newline="")
    JsonRows(file).add(photo, said)
    text = file.getvalue()
    assert text.count("\n") == 1
    text.encode()
    found: dict[str, object] = json.loads(text)
    return found


def test_a_row_has_the_best_two_labels() -> None:
    values = ("a.jpg", "Boxer", "0.912346", "true", "Pug", "0.05", "")
    assert table("a.jpg", BOXER) == [dict(zip(COLUMNS, values, strict=True))]


def test_a_model_that_does_not_say_how_sure_it_is_leaves_the_cell_empty() -> None:
    (row,) = table("a.jpg", Answer([Prediction("Boxer", 1.0)]))
    assert (row["confident"], row["second"], row["second_probability"]) == ("", "", "")


def test_a_bad_photo_is_a_row_with_its_reason() -> None:
    (row,) = table("a.jpg", DAMAGED)
    assert row["error"] == DAMAGED.message
    assert row["label"] == row["probability"] == ""
    assert line("a.jpg", DAMAGED) == {"photo": "a.jpg", "error": {"code": "BadImage", "message": DAMAGED.message}}


@pytest.mark.parametrize("name", ODD)
def test_odd_names_come_back_as_they_were(name: str) -> None:
    (row,) = table(name, BOXER)
    assert row["photo"] == name
    assert line(name, BOXER) == {"photo": name} | BOXER.body()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    label = Answer([Prediction(f"{start}cmd", 0.9), Prediction(f"{start}two", 0.1)])
    (row,) = table(f"{start}1+1.jpg", label)
    assert [row[name][:2] for name in ("photo", "label", "second")] == [f"'{start}"] * 3
    assert line(f"{start}1+1.jpg", label)["photo"] == f"{start}1+1.jpg"


def test_bytes_that_are_no_text_can_be_written() -> None:
    name = os.fsdecode(b"\xff.jpg")
    (row,) = table(name, BOXER)
    assert row["photo"] == "\\udcff.jpg"
    assert line(name, BOXER)["photo"] == "\\udcff.jpg"
