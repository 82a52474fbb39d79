"""`pedigree predict`, from its words to its exit code."""

import base64
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from console.errors import UsageError
from console.interrupts import Interrupted, caught
from console.prediction import request
from console.prediction.patience import Patience
from console.screen import Screen
from contract.inference import ErrorCode, InferenceError
from tests.console.prediction.conftest import Pedigree
from tests.console.prediction.fake_api import BOXER, JPEG, FakeApi, Told

PICTURE = {"label": "Boxer", "content_type": "image/jpeg", "data": base64.b64encode(b"picture").decode()}
BAD = Told(400, InferenceError(ErrorCode.BAD_IMAGE, "no photo").body("request-1"))


def test_several_photos_are_answered_in_their_order(pedigree: Pedigree, photo: Path) -> None:
    done = pedigree("predict", photo, photo)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines == [str(photo), f"  Boxer   97.0 %  {'#' * 29}"] * 2


def test_programs_get_one_line_of_json_per_photo_whatever_becomes_of_it(
    pedigree: Pedigree, api: FakeApi, photo: Path
) -> None:
    api.tell(Told(), BAD, Told(body=BOXER | {"confident": False}))
    done = pedigree("predict", "--json", photo, photo, photo.with_name("none.jpg"), photo)
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["photo"] for line in lines] == [str(photo), str(photo), str(photo.with_name("none.jpg")), str(photo)]
    assert lines[0]["predictions"] == BOXER["predictions"]
    assert lines[1]["error"] == {"code": "BadImage", "message": "no photo", "request_id": "request-1"}
    assert lines[2]["error"]["code"] == "PhotoUnreadable"
    assert lines[3]["confident"] is False
    assert done.stderr == ""


def test_a_photo_that_is_refused_keeps_no_other_from_its_answer(pedigree: Pedigree, api: FakeApi, photo: Path) -> None:
    api.tell(BAD, Told())
    done = pedigree("predict", photo, photo)
    assert done.exit_code == 1
    assert f"{photo}: no photo (400 BadImage, request request-1)" in done.stderr
    assert "Boxer   97.0 %" in done.stdout


def test_a_busy_api_is_waited_for_quietly(pedigree: Pedigree, api: FakeApi, photo: Path, pauses: list[float]) -> None:
    busy = InferenceError(ErrorCode.TOO_MANY_REQUESTS, "too many")
    api.tell(Told(429, busy.body("request-1"), {"Retry-After": "3"}), Told())
    done = pedigree("predict", photo)
    assert (done.exit_code, done.stderr, pauses) == (0, "", [3.5])


def test_a_photo_is_taken_from_standard_input(pedigree: Pedigree, api: FakeApi) -> None:
    done = pedigree("predict", "-", "--top", "1", stdin=JPEG)
    assert done.exit_code == 0
    assert api.requests[0].body == JPEG
    assert api.paths == ["POST /predict?top=1"]


def test_a_photo_is_fetched_from_its_address(pedigree: Pedigree, api: FakeApi) -> None:
    api.tell(Told(body=JPEG), Told())
    done = pedigree("predict", f"{api.address}/dog.jpg")
    assert done.exit_code == 0
    assert api.paths == ["GET /dog.jpg", "POST /predict"]
    assert api.requests[1].body == JPEG
    assert "x-api-key" not in api.requests[0].headers


def test_what_the_model_looked_at_is_written(pedigree: Pedigree, api: FakeApi, photo: Path, tmp_path: Path) -> None:
    api.tell(Told(body=BOXER | {"explanation": PICTURE}))
    done = pedigree("predict", photo, "--explain", tmp_path / "looked.jpg")
    assert (tmp_path / "looked.jpg").read_bytes() == b"picture"
    assert "What spoke for Boxer: " in done.stdout
    assert api.paths == ["POST /predict?explain=true"]
    done = pedigree("predict", photo, photo, "--json", "--explain", tmp_path / "looked")
    written = [Path(json.loads(line)["explanation"]) for line in done.stdout.splitlines()]
    assert [path.read_bytes() for path in written] == [b"picture"] * 2


def test_a_model_that_does_not_explain_itself_is_told(pedigree: Pedigree, photo: Path, tmp_path: Path) -> None:
    done = pedigree("predict", photo, "--explain", tmp_path / "looked.jpg")
    assert done.exit_code == 0
    assert "The model says nothing of what it looked at." in done.stderr


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(pedigree: Pedigree, tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/\xff.jpg")
    Path(name).write_bytes(JPEG)
    assert json.loads(pedigree("predict", "--json", name).stdout)["photo"].endswith("\ufffd.jpg")
    assert pedigree("predict", name).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-", "-"], "give it once"),
        ([__file__, "--out", "a.csv"], "are for a folder of photos, and "),
        (["holidays", "--out", "a.csv"], "are for a folder of photos, and holidays is none."),
        (["a.jpg", "--explain", "a.png"], "written as .jpg"),
        ([".", "--out", "a.csv", "--top", "3"], "--top and --explain are for single photos"),
        ([".", "--out", "a.csv", "--explain", "looked"], "--top and --explain are for single photos"),
    ],
)
def test_options_that_do_not_go_together_are_a_wrong_command_line(
    pedigree: Pedigree, api: FakeApi, words: list[str], said: str
) -> None:
    error = pedigree("predict", *words).exception
    assert isinstance(error, UsageError)
    assert said in error.message
    assert (error.exit_code, api.requests) == (2, [])


def test_the_keyboard_is_no_photo(pedigree: Pedigree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError, match="keyboard"):
        request._check_stdin(["-"])


def test_standard_input_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="closed"):
        request._check_stdin(["-"])


def test_ctrl_c_while_the_api_thinks_ends_it_before_the_answer(api: FakeApi, photo: Path, screen: Screen) -> None:
    may_answer, answered = threading.Event(), threading.Event()

    def think() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        may_answer.wait(10)
        answered.set()

    api.tell(Told(before=think))
    with caught(), pytest.raises(Interrupted):
        request.ask(api.api, screen, request.Photos([str(photo)] * 3))
    assert not answered.is_set()
    may_answer.set()
    assert len(api.requests) == 1


def test_ctrl_c_ends_a_pause(api: FakeApi, photo: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(request, "Patience", lambda shown: Patience(shown, sleep=sleep))
    api.tell(Told(503, b""))
    with caught(), pytest.raises(Interrupted):
        request.ask(api.api, screen, request.Photos([str(photo)]))
    assert len(api.requests) == 1
