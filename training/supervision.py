"""Who looks on while a model is trained: the debugger that saves tensors, the rules, and the watchdog."""

import json
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from contract.findings import told
from contract.names import FOUND_FILE, TENSORS, OutputFile
from training.debugging import NO_DEBUGGER, Debugger, is_configured, open_debugger
from training.files import write_text
from training.rules.watch import RuleWatch
from training.watchdog import STALLED_AFTER, Watchdog, stall_finding

# After every epoch, and within one every so many saved steps, the rules look at them: about as often as weights are
# saved, losses being saved four times as often.
LOOK_EVERY: Final = 4


class Supervision:
    """A context in which a training is looked at; at its end, however it ends, findings.json is left.

    Args:
        output: folder of the job's output.
        checkpoints: folder that SageMaker copies to S3 while the job runs: tensors can be read from there at once, and
            what was found by the state machine.
        watch: the rules.
        save_interval: in steps, of the tensors.
        chief: whether this is the process that looks on and writes; the others leave nothing.
    """

    def __init__(
        self, output: Path, checkpoints: Path, watch: RuleWatch, save_interval: int, chief: bool = True
    ) -> None:
        self.watch, self._chief = watch, chief
        self._output, self._checkpoints = output, checkpoints
        self._saved = 0
        self._leaving = threading.Lock()  # the watchdog's thread may tell of a stall while the training ends
        self._entered = ExitStack()
        wanted = chief and (watch.is_any_on or is_configured())
        self.debugger: Debugger = (
            open_debugger(tensors_folder(checkpoints), save_interval, self._count) if wanted else NO_DEBUGGER
        )

    def __enter__(self) -> Self:
        """Start the watchdog, which takes over a signal: only the main thread may."""
        if (
            self._chief
            and self.watch.is_on("StalledTraining")
            and threading.current_thread() is threading.main_thread()
        ):
            self._entered.enter_context(Watchdog(STALLED_AFTER, self._stalled))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look at what is left."""
        self._entered.close()
        self.debugger.close()
        if self._chief:
            self.watch.close(self.debugger.folder, self.debugger.reason)
            self._leave_findings()

    def look(self) -> None:
        """Let the rules look at what has been saved.

        Raises:
            StoppedByRuleError: one of them has found what makes it pointless to go on.
        """
        if self._chief:
            self.watch.look(self.debugger.folder)

    def _count(self) -> None:
        self._saved += 1
        if self._saved % LOOK_EVERY == 0:
            self.look()

    def _stalled(self, seconds: float, where: str) -> Exception | None:
        end = self.watch.add(stall_finding(seconds, where))
        self._leave_findings()
        return end

    def _leave_findings(self) -> None:
        with self._leaving:
            write_text(self._output / OutputFile.FINDINGS, json.dumps(self.watch.as_dict(), indent=1))
            write_text(self._checkpoints / FOUND_FILE, json.dumps(told(self.watch.findings)))


def tensors_folder(checkpoints: Path) -> Path:
    """Return where a job's tensors are saved: another job that goes on from the same checkpoints saves beside them."""
    return checkpoints / TENSORS / os.environ.get("TRAINING_JOB_NAME", "")
