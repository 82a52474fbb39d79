"""TensorBoard event files, written by tensorboardX.

TensorBoard's own writer (torch.utils.tensorboard) needs the package tensorboard, whose protobuf (6.31 or newer) smdebug
does not work with. tensorboardX writes the same files with the protobuf that is here; it is 90 kB.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from training.progress import say

# How long tensorboardX's own thread keeps numbers before it writes them.
_SECONDS: Final = 5


class TensorBoard:
    """The event file of one training."""

    name = "TensorBoard"

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of one epoch, to be seen within _SECONDS."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def result(self, choices: Mapping[str, str], values: Mapping[str, float], report: Path | None) -> None:
        """Write the choices as a table, and the results as numbers."""
        rows = "\n".join(f"| {name} | {value} |" for name, value in sorted(choices.items()))
        self._writer.add_text("choices", f"| choice | value |\n|---|---|\n{rows}", 0)
        for name, value in values.items():
            self._writer.add_scalar(name, value, 0)

    def close(self, succeeded: bool) -> None:
        """Write what is left and close the file."""
        self._writer.close()


def open_tensorboard(folder: Path) -> TensorBoard | None:
    """Return the event file in ``folder``; None, with a line in the log, where tensorboardX is not installed."""
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
    except ImportError as error:
        say(f"no TensorBoard files: {error}")
        return None
    return TensorBoard(SummaryWriter(str(folder), flush_secs=_SECONDS))
