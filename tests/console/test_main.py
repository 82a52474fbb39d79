import io
import sys

import pytest

from console import commands
from console.main import main


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["predict", "-", "-"], 2, "Error: Standard input, -, is one photo: give it once."),
        (["predict", "a.jpg", "--model", "m"], 2, "Single photos go to the API."),
        (["report", "--close"], 2, "No such option"),
        (["--on", "aws", "up"], 1, "Leave out: --on aws"),
        (["predict", "", "--out", "a.csv"], 2, "The name of a photo is empty."),
        (["predict", "a" * 5000, "--out", "a.csv"], 2, "Single photos go to the API."),
    ],
)
def test_a_command_ends_with_a_line_and_the_code_of_what_went_wrong(
    words: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pedigree", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_what_the_system_refuses_is_a_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill_the_disk() -> None:
        raise OSError(28, "No space left on device", "build/run")

    monkeypatch.setattr(commands, "app", fill_the_disk)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err.startswith("Error: The system refused: [Errno 28] No space left on device")


def test_a_name_that_the_terminal_cannot_write_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii", write_through=True))
    monkeypatch.setattr(commands, "app", lambda: print("Münsterländer"))
    main()
    assert written.getvalue() == b"M\\xfcnsterl\\xe4nder\n"
