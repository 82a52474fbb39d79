import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.report.sample import FINDINGS, class_rows, learned, metrics, profile, report_data
from training.history import save_history
from training.report import __main__ as command
from training.report.data import collect
from training.report.reproduce import commands


def leave(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in {"metrics": metrics(class_rows(("Pug", "Boxer"))), **files}.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_everything_that_a_training_left_is_read(tmp_path: Path) -> None:
    said = [{"photo": "test/1/a.jpg", "true": 0, "top": [[1, 0.7], [0, 0.2]]}]
    output = leave(tmp_path / "out", predictions=said, findings=FINDINGS, profile=profile(3, 3))
    save_history(output / "history.json", learned())
    data = collect(output, leave(tmp_path / "prepared", manifest={"source": "toy"}), None, "today")
    assert data.predictions is not None
    (first,) = data.predictions
    assert (first.named, first.is_right, first.probability_of_truth) == (1, False, 0.2)
    assert (data.findings, data.manifest["source"], len(data.history)) == (FINDINGS, "toy", 8)
    assert data.confusion == [[4, 0], [1, 3]]


@pytest.mark.parametrize("content", ["", "[1", "null", "7", '[{"photo": 1}]', '[{"photo": "a", "true": 0, "top": 3}]'])
def test_rubbish_in_a_file_counts_as_its_absence(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = collect(leave(tmp_path, predictions=content, findings=content, history=content), None, None, "")
    assert (data.predictions, data.findings, data.history) == (None, None, ())
    assert capsys.readouterr().out.count("the report does without") >= 3


def test_the_page_can_be_written_again_from_the_files(tmp_path: Path) -> None:
    command.main(["--output", str(leave(tmp_path))])
    assert "91.7% of the test photos named right" in (tmp_path / "report.html").read_text()


def test_a_folder_without_a_training_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--output", str(tmp_path)])
    assert "there is no training to report in" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["null", "[]", "{}", '{"test_accuracy": "x"}'])
def test_metrics_of_another_shape_are_refused_in_a_line(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["--output", str(leave(tmp_path, metrics=content))])
    assert "metrics.json" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_the_commands_name_every_choice_and_quote_what_a_shell_would_read() -> None:
    data = report_data(manifest={"source": "photos of dogs; rm -rf /"})
    lines = commands(data)
    assert lines[0] == f"git checkout {'a' * 40}"
    assert "--source 'photos of dogs; rm -rf /' --seed 0" in lines[2]
    assert "--backbone resnet50 --weights imagenet --views 1 --seed 1" in lines[3]
    for part in ("--lr 0.0123", "--batch-size 64", "--fine-tune-epochs 3", "--first-trained layer4", "--seed 7"):
        assert part in lines[4]


def test_code_of_no_known_commit_is_not_checked_out() -> None:
    rows = class_rows(("Pug", "Boxer"))
    data = report_data(metrics=metrics(rows, source_revision="sha256:abc"))
    assert not any("git" in line for line in commands(data))
