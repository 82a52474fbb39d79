"""The words in which a job's end is reported."""

from pathlib import Path

import pytest

from container.failure import MAX_FAILURE, Outcome, error_message, write_failure

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    main()\n'


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        ("", ""),
        ("\n \n", ""),
        (
            "usage: hpo.py [-h]\nhpo.py: error: argument --lr: 7 is too much\n",
            "hpo.py: error: argument --lr: 7 is too much",
        ),
        (f"warning: slow\n{TRACEBACK}training.errors.PhotosError: no photos\n", "PhotosError: no photos"),
        (f"{TRACEBACK}KeyboardInterrupt\n", "KeyboardInterrupt"),
        (f"{TRACEBACK}ValueError: first\nsecond: line\n", "ValueError: first\nsecond: line"),
        (
            f"{TRACEBACK}KeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\n"
            f"{TRACEBACK}RuntimeError: b\n",
            "RuntimeError: b",
        ),
        (
            f"{TRACEBACK}OSError: disk full\nException ignored in: <f>\n{TRACEBACK}BrokenPipeError: pipe\n",
            "OSError: disk full",
        ),
        (f"{TRACEBACK}torch.OutOfMemoryError: CUDA out of memory.\n", "OutOfMemoryError: CUDA out of memory."),
        (f"{TRACEBACK}ValueError: retried\n" + "INFO step\n" * 20 + "error: gave up\n", "error: gave up"),
        (f"{TRACEBACK}__main__.main.<locals>.OddError: x\n", "OddError: x"),
    ],
)
def test_the_message_is_the_scripts_last_meaningful_error(stderr: str, message: str) -> None:
    assert error_message(stderr) == message


def test_a_signal_is_named_and_gives_the_shells_exit_code() -> None:
    outcome = Outcome(-11, "Fatal Python error: Segmentation fault\n")
    assert outcome.exit_code == 139
    assert outcome.reason("x.py") == (
        "killed by SIGSEGV (signal 11)\nlast error output: Fatal Python error: Segmentation fault"
    )


def test_a_signal_without_a_name_is_a_number() -> None:
    assert Outcome(-63, "").reason("x.py") == "killed by signal 63"


def test_the_failure_file_holds_no_more_than_sagemaker_reads(tmp_path: Path) -> None:
    path = tmp_path / "output" / "failure"
    write_failure(path, "é" * 5000)
    assert len(path.read_text(encoding="utf-8")) == MAX_FAILURE
    assert [entry.name for entry in path.parent.iterdir()] == ["failure"]
