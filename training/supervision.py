"""Who looks on while a model is trained: the debugger that saves tensors, the rules, and the watchdog."""

import json
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from contract.names import OutputFile
from training.debugging import NO_DEBUGGER, Debugger, is_configured, open_debugger
from training.files import write_text
from training.rules.watch import RuleWatch
from training.watchdog import STALLED_AFTER, Watchdog, stall_finding

# Every so many saved steps the rules look at them: between two saves of the weights, where only losses are saved more
# often, and after every validation but a few.
LOOK_EVERY: Final = 4


class Supervision:
    """A context in which a training is looked at; at its end, however it ends, findings.json is left.

    Args:
        output: folder of the job's output.
        watch: the rules.
        save_interval: in steps, of the tensors.
        chief: whether this is the process that looks on and writes; the others leave nothing.
    """

    def __init__(self, output: Path, watch: RuleWatch, save_interval: int, chief: bool = True) -> None:
        self.watch, self._chief = watch, chief
        self._output = output
        self._saved = 0
        self._entered = ExitStack()
        wanted = chief and (watch.is_any_on or is_configured())
        self.debugger: Debugger = (
            open_debugger(output / OutputFile.TENSORS, save_interval, self._look) if wanted else NO_DEBUGGER
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

    def _look(self) -> None:
        self._saved += 1
        if self._saved % LOOK_EVERY == 0:
            self.watch.look(self.debugger.folder)

    def _stalled(self, seconds: float, where: str) -> Exception | None:
        end = self.watch.add(stall_finding(seconds, where))
        self._leave_findings()
        return end

    def _leave_findings(self) -> None:
        write_text(self._output / OutputFile.FINDINGS, json.dumps(self.watch.as_dict(), indent=1))
