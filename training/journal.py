"""What a training tells the tools that people watch trainings with, from a thread of its own.

Nothing here may be the reason that a training fails or waits: a tool that fails is named in the log and left out.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

from contract.names import OutputFile
from training.history import Epoch
from training.mlflow_run import open_mlflow
from training.progress import say
from training.tensorboard import open_tensorboard

# How long the end of a training waits for what the tools have not taken yet.
LAST_SECONDS: Final = 30.0
# Of metrics.json, what is a choice and no result.
_CHOICES_OF: Final = ("backbone", "fine_tune_epochs", "seed", "source_revision", "fingerprint")
_RESULTS: Final = ("valid_loss", "valid_accuracy", "test_loss", "test_accuracy")


class Tool(Protocol):
    """Where a training's numbers are looked at."""

    name: str

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers of one epoch, by names with a slash after the group."""

    def result(self, choices: Mapping[str, str], values: Mapping[str, float], report: Path | None) -> None:
        """Take what the training was made with, and what came of it."""

    def close(self, succeeded: bool) -> None:
        """Write or send what is left."""


class Journal:
    """Hands epochs and result to the tools in the order in which they come; every method returns at once.

    Args:
        openers: make the tools, in the journal's thread; each returns None where its tool is not asked for.
        last_seconds: how long the end waits for the tools.
    """

    def __init__(self, openers: Sequence[Callable[[], Tool | None]], last_seconds: float = LAST_SECONDS) -> None:
        self._last_seconds = last_seconds
        self._orders: queue.SimpleQueue[Callable[[Tool], None] | None] = queue.SimpleQueue()
        # A tool that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, args=(tuple(openers),), name="journal", daemon=True)
        self._succeeded = False
        if openers:
            self._thread.start()

    def epoch(self, row: Epoch) -> None:
        """Tell of one epoch."""
        values = {
            "loss/train": row.train_loss,
            "loss/valid": row.valid_loss,
            "accuracy/train": row.train_accuracy,
            "accuracy/valid": row.valid_accuracy,
            "time/epoch_seconds": row.seconds,
        }
        self._order(lambda tool: tool.epoch(row.epoch, values))

    def result(self, metrics: Mapping[str, Any], report: Path | None) -> None:
        """Tell of metrics.json and the report, the last that there is to tell."""
        chosen = {**metrics["hyperparameters"], **{name: metrics[name] for name in _CHOICES_OF if name in metrics}}
        choices = {name: str(value) for name, value in chosen.items()}
        values = {f"final/{name}": float(metrics[name]) for name in _RESULTS}
        self._succeeded = True
        self._order(lambda tool: tool.result(choices, values, report))

    def __enter__(self) -> "Journal":
        """Return the journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the tools finish, for a while."""
        succeeded = self._succeeded and kind is None
        if not self._thread.is_alive():
            return
        self._orders.put(lambda tool: tool.close(succeeded))
        self._orders.put(None)
        self._thread.join(self._last_seconds)
        if self._thread.is_alive():
            say(f"the journal: not everything was taken within {self._last_seconds:.0f} s; the training does not wait")

    def _order(self, order: Callable[[Tool], None]) -> None:
        if self._thread.is_alive():
            self._orders.put(order)

    def _work(self, openers: Sequence[Callable[[], Tool | None]]) -> None:
        tools = [tool for tool in map(_opened, openers) if tool is not None]
        while (order := self._orders.get()) is not None:
            tools = [tool for tool in tools if _took(tool, order)]


def _opened(opener: Callable[[], Tool | None]) -> Tool | None:
    try:
        return opener()
    except Exception as error:  # noqa: BLE001 (whatever a tool raises is its own end only)
        say(f"the journal: {type(error).__name__}: {error}")
        return None


def _took(tool: Tool, order: Callable[[Tool], None]) -> bool:
    try:
        order(tool)
    except Exception as error:  # noqa: BLE001 (as above)
        say(f"the journal: {tool.name} is left out from here on: {type(error).__name__}: {error}")
        return False
    return True


NO_JOURNAL: Final = Journal(())


def open_journal(output: Path, mlflow_uri: str | None, run_file: Path) -> Journal:
    """Return the journal of a training.

    Args:
        output: gets the TensorBoard files.
        mlflow_uri: of the MLflow server; None: there is none.
        run_file: where the MLflow run's id is kept, so that a training that is resumed goes on with the same run.
    """
    return Journal(
        (
            lambda: open_tensorboard(output / OutputFile.TENSORBOARD),
            lambda: open_mlflow(mlflow_uri, run_file),
        )
    )
