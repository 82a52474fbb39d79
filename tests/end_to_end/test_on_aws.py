"""`make test-aws` itself: it asks first, leaves other people's stages alone, and cleans up however the tests end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contract.names import Stack, stack_name
from tests.end_to_end import on_aws
from tests.end_to_end.checkout import ON_AWS, AwsCheckout, Checkout, write_stage

pytestmark = pytest.mark.laptop_only("it tests what starts these tests on AWS")

NOTHING = "\n".join(f"  stack {stack}: not deployed" for stack in Stack)
COST = {"once": 0.2, "run": {"at_most": 1.0, "expected": 0.5}, "endpoint_hour": 0.1, "missing": []}


class Console:
    """Answers in place of `pedigree`; remembers what it was asked."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = {"doctor": (0, ""), "status": (0, NOTHING), "cost": (0, json.dumps(COST)), "down": (0, "")}
        self.answers |= answers
        self.asked: list[str] = []

    def __call__(self, checkout: Checkout, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = str(words[0])
        self.asked.append(command)
        code, output = self.answers[command]
        return subprocess.CompletedProcess(list(words), code, output)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that runs the program with given answers; returns exit code, what was asked, whether tests ran."""

    def run(console: Console, *arguments: str, tests: Any = lambda *_: 0, answer: str = "n") -> tuple[int, bool]:
        ran = []

        def test(checkout: AwsCheckout, for_pytest: list[str]) -> int:
            ran.append(checkout)
            code: int = tests()
            return code

        monkeypatch.setattr(Checkout, "pedigree", lambda self, *words: console(self, *words))
        monkeypatch.setattr(on_aws, "copy_files", lambda folder: (folder / "cdk.json").write_text(_CDK_JSON))
        monkeypatch.setattr(on_aws, "_test", test)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(_made(tmp_path / "copy")))
        monkeypatch.setattr("builtins.input", lambda prompt: answer)
        monkeypatch.setattr(sys, "argv", ["on_aws", *arguments])
        with pytest.raises(SystemExit) as ended:
            on_aws.main()
        return int(ended.value.code or 0), bool(ran)

    return run


_CDK_JSON = json.dumps({"context": {"stages": {"dev": {}}}})


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_whoever_says_no_starts_nothing(start: Any, tmp_path: Path) -> None:
    console = Console()
    assert start(console, answer="") == (1, False)
    assert "down" not in console.asked
    assert not (tmp_path / "copy").exists()


def test_the_cost_is_said_before_the_question(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    start(Console())
    assert "about 2.50 US dollars" in capsys.readouterr().out, "0.2 once, 2 runs of 1.0, 3 hours of 0.1"


def test_whoever_says_yes_gets_the_tests_and_a_clean_account(start: Any, tmp_path: Path) -> None:
    console = Console()
    assert start(console, answer="y") == (0, True)
    assert console.asked[-2:] == ["down", "status"]
    assert not (tmp_path / "copy").exists()


def test_failed_tests_are_cleaned_up_after(start: Any) -> None:
    console = Console()
    assert start(console, "--yes", tests=lambda: 3) == (3, True)
    assert "down" in console.asked


def test_whatever_is_raised_is_cleaned_up_after(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> int:
        raise SystemExit(137)

    console = Console()
    assert start(console, "--yes", tests=stop)[0] == 137
    assert "down" in console.asked


def test_what_is_left_behind_is_named_and_the_copy_is_kept(
    start: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(down=(1, "cdk destroy failed."))
    assert start(console, "--yes") == (1, True)
    assert (tmp_path / "copy").exists()
    said = capsys.readouterr().out
    assert "LEFT IN THE ACCOUNT, AND COSTING MONEY" in said
    assert f"--clean-up --stage e2e --checkout {tmp_path / 'copy'}" in said


def test_a_stage_that_exists_already_is_left_alone(start: Any, capsys: pytest.CaptureFixture[str]) -> None:
    standing = NOTHING.replace(f"stack {Stack.DATA}: not deployed", f"stack {Stack.DATA}: CREATE_COMPLETE")
    console = Console(status=(0, standing))
    assert start(console, "--yes") == (1, False)
    assert "down" not in console.asked
    assert stack_name("e2e", Stack.DATA) in capsys.readouterr().out


def test_what_the_doctor_finds_stops_it(start: Any) -> None:
    console = Console(doctor=(1, "Credentials: none"))
    assert start(console, "--yes") == (1, False)
    assert console.asked == ["doctor"]


def test_the_stage_is_small_and_can_be_changed(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text(_CDK_JSON)
    write_stage(tmp_path, "e2e", {**on_aws.SMALL, "image": "mine:1"})
    stages = json.loads((tmp_path / "cdk.json").read_text())["context"]["stages"]
    assert stages.keys() == {"dev", "e2e"}
    assert stages["e2e"]["image"] == "mine:1"
    kinds = json.dumps(stages["e2e"])
    assert "ml.g" not in kinds
    assert stages["e2e"]["removal"] == "destroy"


def test_on_the_laptop_nothing_of_the_person_s_aws_set_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv(ON_AWS, "{}")
    names = Checkout(Path("/nowhere")).environment.keys()
    assert not [name for name in names if name.startswith("AWS_") or name == ON_AWS]


def test_on_aws_every_command_names_cloud_and_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "tests")
    checkout = AwsCheckout(Path("/nowhere"), stage="e2e")
    assert checkout.words == ("--on", "aws", "--stage", "e2e")
    assert checkout.environment["AWS_PROFILE"] == "tests"
