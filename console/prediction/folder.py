"""`pedigree predict FOLDER`: every photo below a folder, by the model's own code on this machine."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from console import process
from console.errors import ConsoleError, UsageError
from console.files import replacing
from console.interrupts import shielded
from console.prediction.model import program_of
from console.project import Project
from console.screen import Screen, duration

LOG: Final = "predict.log"
# The endings of what can be written, and how the model's code calls them.
FORMATS: Final = {".csv": "csv", ".jsonl": "jsonl"}
_LABELS_SHOWN: Final = 10


def check_out(out: Path | None) -> Path:
    """Return where the answers go.

    Raises:
        UsageError: that is nowhere, or in a form that there is not.
    """
    hint = "A table: --out answers.csv, or JSON lines: --out answers.jsonl"
    if out is None:
        raise UsageError("For a folder, say where the answers shall go.", hint)
    if out.suffix.lower() not in FORMATS:
        raise UsageError(f"{out}: only .csv and .jsonl can be written.", hint)
    if out.is_dir():
        raise UsageError(f"{out} is a folder.", hint)
    return out


def predict_folder(project: Project, screen: Screen, folder: Path, model: Path, out: Path) -> int:
    """Classify every photo below ``folder`` into ``out``, whole or not at all; return how many could not be used.

    Raises:
        ConsoleError: the model cannot be used, or the answers cannot be written; says why.
    """
    code = program_of(model)
    log = project.build / "predict" / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    with _writing(out) as partial:
        options = ["--out", str(partial.resolve()), "--format", FORMATS[out.suffix.lower()]]
        python = str(project.programs / "python")
        command = [python, "-m", "serving.folder", str(folder.resolve()), *options]
        summary: dict[str, Any] = {}
        with log.open("wb") as errors, _running(command, code, _environment(model, code), errors) as child:
            assert child.stdout is not None
            for said in _followed(child.stdout, screen):
                summary = said
            status = child.wait()
        if status or "photos" not in summary:
            raise ConsoleError(f"The photos were not classified: {_why(status, log)}", f"All it said: {log}")
    _show(summary, out, screen)
    return int(summary["failed"])


@contextmanager
def _writing(out: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(replacing(out))
        except OSError as error:
            raise ConsoleError(f"{out} cannot be written: {error.strerror}.") from error
        yield partial


def _environment(model: Path, code: Path) -> dict[str, str]:
    """Return the environment of the model's code; another person's model folder is left as it is."""
    own = {"PYTHONPATH": str(code), "SM_MODEL_DIR": str(model.resolve()), "OMP_WAIT_POLICY": "passive"}
    return dict(os.environ) | own | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def _running(
    command: list[str], cwd: Path, environment: Mapping[str, str], errors: IO[bytes]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program in a session of its own; whatever happens, it has ended afterwards."""
    child = None
    try:
        with shielded():
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        yield child
    finally:
        if child is not None:
            process.end(child)
            assert child.stdout is not None
            child.stdout.close()


def _followed(lines: IO[bytes], screen: Screen) -> Iterator[dict[str, Any]]:
    """Yield what the program says, and show on a terminal how far it is and how long it will take."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("about"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=screen.out, transient=True, disable=not screen.is_live) as bar:
        task = bar.add_task("Loading the model", total=None)
        for line in lines:
            if not line.startswith(b"{"):
                continue  # a library's remark
            said: dict[str, Any] = json.loads(line)
            if "done" in said:
                bar.update(task, description="Classifying", completed=said["done"], total=said["total"])
            yield said


def _why(status: int, log: Path) -> str:
    """Return how it ended: the signal, or the last line that it wrote."""
    return f"it was ended by signal {-status}" if status < 0 else process.tail(log, 1)


def _show(summary: Mapping[str, Any], out: Path, screen: Screen) -> None:
    photos, failed, seconds = summary["photos"], summary["failed"], summary["seconds"]
    rate = f", {photos / seconds:.1f} photos per second" if seconds else ""
    screen.say(f"{photos} photos in {duration(seconds)}{rate} ({summary['engine']})")
    labels = list(summary["labels"].items())
    for label, count in labels[:_LABELS_SHOWN]:
        screen.say(f"  {count:>6}  {label}")
    if len(labels) > _LABELS_SHOWN:
        others = labels[_LABELS_SHOWN:]
        screen.say(f"  {sum(count for _, count in others):>6}  of {len(others)} more classes")
    if summary["unsure"]:
        screen.say(f"Of {summary['unsure']} the model is not sure: they may be nothing that it knows.")
    if failed:
        screen.say(f"{failed} could not be used; their rows say why.")
    screen.say(f"Answers: {out}")
