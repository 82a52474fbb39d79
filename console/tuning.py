"""`pedigree tune`: the sweep of training/sweep.py on this machine, on features that exist already."""

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.table import Table

from console import process
from console.cloud import Cloud
from console.errors import ConsoleError
from console.files import read_json, replacing
from console.progress import Trial
from console.project import Project
from console.results import parse_uri
from console.screen import Screen, percent
from console.summary import PREVIOUS, SUMMARY
from console.words import hyperparameters
from contract.metrics import Objective
from contract.names import TUNING_FILE, FeaturesFile
from contract.trials import TrialResult, best_trial

LOG: Final = "sweep.log"


@dataclass(frozen=True)
class Sweep:
    """What is asked of the sweep, in the words of its options."""

    trials: int
    seed: int
    objective: str
    sampler: str
    stopping: str

    def options(self) -> list[str]:
        """Return the command line."""
        values = vars(self).items()
        return [part for name, value in values for part in (f"--{name}", str(value))]


def tune(project: Project, screen: Screen, features: Path, sweep: Sweep) -> None:
    """Run the sweep on a folder of features, show its trials and leave build/tune/tuning.json.

    Raises:
        ConsoleError: the sweep failed; says why.
    """
    folder = project.build / "tune"
    folder.mkdir(parents=True, exist_ok=True)
    left, log = folder / TUNING_FILE, folder / LOG
    for former in (left, log):
        former.unlink(missing_ok=True)
    python = str(project.programs / "python")
    program = [python, str(project.root / "training" / "sweep.py")]
    command = [*program, "--features", str(features.resolve()), "--model-dir", str(folder), *sweep.options()]
    environment = os.environ | {"PYTHONPATH": str(project.root), "OMP_WAIT_POLICY": "passive"}
    with screen.task(f"Trying {sweep.trials} settings of the head", "Tried"):
        code = process.run_logged(command, environment, project.root, log)
        if code:
            raise ConsoleError(f"The sweep failed: {_why(code, log)}", f"All it said: {log}")
    tuning = read_json(left)
    screen.show(_table([TrialResult(**trial) for trial in tuning["trials"]], Objective(sweep.objective)))
    screen.say(f"All trials: {left}")


def _why(code: int, log: Path) -> str:
    """Return how a sweep ended: the signal, or the last line of its traceback, without the names of our own errors."""
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return re.sub(r"\A[\w.]*(JobInputError|SweepError): ", "", process.tail(log, 1))


def _table(trials: Sequence[TrialResult], objective: Objective) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("#", "lr", "batch size", "epochs"):
        table.add_column(heading, justify="right")
    table.add_column("status")
    for heading in ("validation accuracy", "loss"):
        table.add_column(heading, justify="right")
    best = best_trial(trials, objective)
    for number, trial in enumerate(trials, 1):
        point = hyperparameters(Trial(number, trial.name, trial.status, trial.hyperparameters))
        accuracy = "" if trial.objective is None else percent(trial.objective)
        loss = "" if trial.loss is None else f"{trial.loss:.3f}"
        mark = "best" if trial == best else trial.status.lower()
        table.add_row(str(number), *point, mark, accuracy, loss, style="bold green" if trial == best else "")
    return table


def features_of_last_run(project: Project, cloud: Cloud) -> Path:
    """Fetch the features of the last run that succeeded into build/features and return that folder.

    Raises:
        ConsoleError: there is no such run, or its features are gone.
    """
    hint = "Make some: pedigree run, or give a folder: pedigree tune --features FOLDER"
    summaries = [read_json(folder / SUMMARY) for folder in (project.run, project.run / PREVIOUS)]
    uri = next((str(found["features_uri"]) for found in summaries if found and found.get("features_uri")), "")
    if not uri:
        raise ConsoleError("No run has left features yet.", hint)
    folder = project.build / "features" / uri.rstrip("/").split("/")[-3]
    if (folder / FeaturesFile.SPEC).is_file():  # the last of its files to be written
        return folder
    bucket, prefix = parse_uri(uri)
    s3 = cloud.client("s3")
    try:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        for entry in sorted(listed, key=lambda entry: _is_spec(entry)):
            with replacing(folder / entry["Key"].removeprefix(prefix)) as path:
                s3.download_file(bucket, entry["Key"], str(path))
    except ClientError as error:
        raise ConsoleError(f"The features of the last run cannot be read: {error}", hint) from error
    if not (folder / FeaturesFile.SPEC).is_file():
        raise ConsoleError(f"The features of the last run are gone: {uri}", hint)
    return folder


def _is_spec(entry: Any) -> bool:
    return str(entry["Key"]).endswith(FeaturesFile.SPEC)
