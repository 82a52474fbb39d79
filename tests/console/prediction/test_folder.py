import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from console.commands import app
from console.errors import ConsoleError
from console.interrupts import Interrupted
from console.prediction import folder as module
from console.prediction.folder import predict_folder
from console.project import Project
from console.screen import Screen

# Stands in for the model's own code: writes the photos' names, and what the folder's name asks for.
PROGRAM = """
import argparse, json, os, pathlib, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("photos", type=pathlib.Path)
parser.add_argument("--out", type=pathlib.Path)
parser.add_argument("--format")
given = parser.parse_args()
names = sorted(path.name for path in given.photos.iterdir())
given.out.write_text("\\n".join([given.format, os.environ["SM_MODEL_DIR"], *names]) + "\\n")
print("a library's remark")
print(json.dumps({"done": 1, "total": len(names)}), flush=True)
wanted = given.photos.name
if wanted == "fail":
    print("something before")
    sys.exit("the model cannot be used: it is damaged")
if wanted == "kill":
    os.kill(os.getpid(), 9)
if wanted == "wait":
    (given.photos / "pid").write_text(str(os.getpid()))
    print(json.dumps({"done": 1, "total": len(names)}), flush=True)
    time.sleep(60)
labels = {f"Breed {number}": 12 - number for number in range(12)} if wanted == "many" else {"Boxer": 2}
said = {"failed": 1 if wanted == "bad" else 0, "unsure": 1, "labels": labels, "seconds": 2.0, "engine": "eager"}
print(json.dumps({"photos": 3, **said}))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    program = tmp_path / "model" / "code" / "serving" / "folder.py"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    (tmp_path / "model" / "model.json").write_text("{}")
    return tmp_path / "model"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(Project, "programs", Path(sys.executable).parent)
    return Project(tmp_path / "checkout")


def photos(tmp_path: Path, name: str = "photos") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    for photo in ("a.jpg", "b.jpg"):
        (folder / photo).touch()
    return folder


def test_a_folder_is_classified_by_the_models_own_code(
    checkout: Project, screen: Screen, written: io.StringIO, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers" / "all.csv"
    assert predict_folder(checkout, screen, photos(tmp_path), model, out) == 0
    assert out.read_text().split() == ["csv", str(model), "a.jpg", "b.jpg"]
    assert [path.name for path in out.parent.iterdir()] == ["all.csv"]
    text = written.getvalue()
    assert "3 photos in 0:02, 1.5 photos per second (eager)" in text
    assert "2  Boxer" in text
    assert "Of 1 the model is not sure" in text
    assert f"Answers: {out}" in text.replace("\n", "")


def test_the_ending_says_the_form(checkout: Project, screen: Screen, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.JSONL"
    predict_folder(checkout, screen, photos(tmp_path), model, out)
    assert out.read_text().startswith("jsonl\n")


def test_photos_that_could_not_be_used_are_counted(
    checkout: Project, screen: Screen, written: io.StringIO, model: Path, tmp_path: Path
) -> None:
    assert predict_folder(checkout, screen, photos(tmp_path, "bad"), model, tmp_path / "a.csv") == 1
    assert "1 could not be used; their rows say why." in written.getvalue()


def test_many_classes_are_summed_up(
    checkout: Project, screen: Screen, written: io.StringIO, model: Path, tmp_path: Path
) -> None:
    predict_folder(checkout, screen, photos(tmp_path, "many"), model, tmp_path / "a.csv")
    assert "12  Breed 0" in written.getvalue()
    assert "3  of 2 more classes" in written.getvalue()


@pytest.mark.parametrize(
    ("name", "words"), [("fail", "the model cannot be used: it is damaged"), ("kill", "it was ended by signal 9")]
)
def test_a_failure_says_why_and_leaves_what_was_there(
    checkout: Project, screen: Screen, model: Path, tmp_path: Path, name: str, words: str
) -> None:
    out = tmp_path / "out" / "a.csv"
    out.parent.mkdir()
    out.write_text("from yesterday")
    with pytest.raises(ConsoleError, match=words):
        predict_folder(checkout, screen, photos(tmp_path, name), model, out)
    assert out.read_text() == "from yesterday"
    assert [path.name for path in out.parent.iterdir()] == ["a.csv"]


def test_a_place_where_nothing_can_be_written_is_told(
    checkout: Project, screen: Screen, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConsoleError, match=r"file/a\.csv cannot be written: (File exists|Not a directory)"):
        predict_folder(checkout, screen, photos(tmp_path, "many"), model, tmp_path / "file" / "a.csv")


def test_who_stops_it_leaves_no_process_and_nothing_half_written(
    checkout: Project, screen: Screen, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = module._followed

    def stopped(lines: IO[bytes], shown: Screen) -> Iterator[dict[str, Any]]:
        saying = followed(lines, shown)
        yield next(saying)
        yield next(saying)  # it says so a second time when it has written its number
        raise Interrupted

    monkeypatch.setattr(module, "_followed", stopped)
    folder, out = photos(tmp_path, "wait"), tmp_path / "out" / "a.csv"
    with pytest.raises(Interrupted):
        predict_folder(checkout, screen, folder, model, out)
    assert not psutil.pid_exists(int((folder / "pid").read_text()))
    assert list(out.parent.iterdir()) == []


def test_a_terminal_sees_how_far_it_is(checkout: Project, model: Path, tmp_path: Path) -> None:
    file = io.StringIO()
    terminal = Screen(Console(file=file, force_terminal=True, width=100, _environ={"TERM": "xterm"}))
    predict_folder(checkout, terminal, photos(tmp_path), model, tmp_path / "a.csv")
    assert "Loading the model" in file.getvalue() or "Classifying" in file.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos"], "say where the answers shall go"),
        (["photos", "--out", "a.txt"], "only .csv and .jsonl can be written"),
        (["photos", "--out", "dir.csv"], "is a folder"),
        (["photos", "--json", "--out", "a.csv"], "--json is for single photos"),
        (["photos", "more", "--out", "a.csv"], "one folder alone"),
        (["photos/a.jpg", "photos", "--out", "a.csv"], "one folder alone"),
        (["photos/a.jpg", "--out", "a.csv"], "are for a folder of photos"),
        (["photos/a.jpg", "--model", "m"], "are for a folder of photos"),
        (["photos", "--out", "a.csv", "--model", "nowhere.tar.gz"], "No such file"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    photos(tmp_path)
    photos(tmp_path, "more")
    (tmp_path / "dir.csv").mkdir()
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, ["predict", *words]).exception
    assert isinstance(error, ConsoleError)
    assert said in error.message


@pytest.mark.parametrize(("name", "code"), [("photos", 0), ("bad", 1)])
def test_a_given_model_needs_no_cloud_and_the_exit_code_tells_of_bad_photos(
    checkout: Project, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    monkeypatch.setattr(Project, "here", lambda: checkout)
    folder, out = photos(tmp_path, name), tmp_path / "a.csv"
    result = CliRunner().invoke(app, ["predict", str(folder), "--out", str(out), "--model", str(model)])
    assert result.exit_code == code, result.output
    assert out.is_file()
    assert out.stat().st_mode & 0o777 == 0o644
