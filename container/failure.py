"""From what a script wrote and how it ended to the words that its user reads as the job's FailureReason."""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# DescribeTrainingJob's FailureReason has at most 1024 characters.
MAX_FAILURE: Final = 1024
# A longer text below an exception's line is no message any more, but whatever was written later.
_MAX_MESSAGE_LINES: Final = 10
_TRACEBACK: Final = "Traceback (most recent call last):"
_UNRAISABLE: Final = "Exception ignored in"
# torchrun tells of its processes' failures in its own log lines and traceback, after theirs and without their reason.
_TORCHRUN = re.compile(r"[WEI]\d{4} .*torch/distributed/elastic/.*")
_EXCEPTION = re.compile(r"(?:[A-Za-z_<]\w*>?\.)*(?P<message>[A-Za-z_]\w*(?::.*)?)")


@dataclass(frozen=True)
class Outcome:
    """How a script ended: ``returncode`` as subprocess has it (-n for signal n), ``stderr`` the end of its errors."""

    returncode: int
    stderr: str

    @property
    def exit_code(self) -> int:
        """The code to end with, as a shell would give it: 128 + n for signal n."""
        return 128 - self.returncode if self.returncode < 0 else self.returncode

    def reason(self, program: str) -> str:
        """Return why the script failed, the message first."""
        if self.returncode < 0:
            last = _last_line(self.stderr)
            return f"killed by {_signal_name(-self.returncode)}" + (f"\nlast error output: {last}" if last else "")
        message = error_message(self.stderr)
        return message or f"{program} ended with exit code {self.returncode} and wrote nothing to standard error"


def error_message(stderr: str) -> str:
    """Return what a script said last about its failure: the message of its traceback, else its last line.

    An exception's module is left out: ``training.photos.PhotosError: ...`` reads ``PhotosError: ...``.
    Tracebacks below "Exception ignored in" are noise of the interpreter's end and never the cause.
    """
    lines = _before_torchrun(stderr.splitlines())
    starts = [
        number
        for number, line in enumerate(lines)
        if line == _TRACEBACK and not (number and lines[number - 1].startswith(_UNRAISABLE))
    ]
    message = _exception_lines(lines[starts[-1] + 1 :]) if starts else []
    if 0 < len(message) <= _MAX_MESSAGE_LINES:
        return "\n".join(message).strip()
    return _last_line("\n".join(lines))


def write_failure(path: Path, reason: str) -> None:
    """Write the failure file; one that the script wrote itself stays.

    Args:
        path: BASE/output/failure.
        reason: Why the job failed, the message first.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(reason[:MAX_FAILURE], encoding="utf-8")
    unfinished.replace(path)


def _exception_lines(lines: Sequence[str]) -> list[str]:
    """Return the exception's line and the rest of its message, from the lines below a traceback's first."""
    for number, line in enumerate(lines):
        found = _EXCEPTION.fullmatch(line)
        if found:
            rest = lines[number + 1 :]
            end = next((i for i, text in enumerate(rest) if text.startswith(_UNRAISABLE)), len(rest))
            return [found["message"], *rest[:end]]
    return []


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"  # real-time signals have no names


def _before_torchrun(lines: list[str]) -> list[str]:
    """Return what the script's own processes wrote; where that is nothing, the first that torchrun says of them."""
    first = next((number for number, line in enumerate(lines) if _TORCHRUN.fullmatch(line)), len(lines))
    return lines[:first] if any(map(str.strip, lines[:first])) else lines[: first + 1]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
