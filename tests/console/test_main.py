import sys

import pytest

from console.main import main


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["predict", "-", "-"], 2, "Error: Standard input, -, is one photo: give it once."),
        (["predict", "a.jpg", "--model", "m"], 2, "Single photos go to the API."),
        (["report", "--close"], 2, "No such option"),
        (["--on", "aws", "up"], 1, "Leave out: --on aws"),
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
