"""Where SageMaker puts a job's folders (SM_* variables), and how a job's process is set up."""

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from contract.names import Channel
from training.progress import say

SIGTERM_EXIT: Final = 128 + signal.SIGTERM


def channel_variable(channel: Channel) -> str:
    """Return the variable that holds the folder of an input channel."""
    return f"SM_CHANNEL_{channel.upper()}"


def add_folder(parser: argparse.ArgumentParser, option: str, variable: str, help_text: str) -> None:
    """Add a folder option that defaults to an SM_* variable and is required where that is not set."""
    default = os.environ.get(variable)
    parser.add_argument(
        option,
        type=Path,
        default=Path(default) if default else None,
        required=not default,
        help=f"{help_text} (default: ${variable})",
    )


def container_folder(*parts: str) -> Path:
    """Return a folder of the container's layout, for what no variable names (checkpoints, configuration)."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), *parts)


class JobInputError(Exception):
    """A job's input that cannot be used; the message names it, what was expected and what to do."""


class Interrupted(SystemExit):
    """The job was asked to stop (SIGTERM) and did so between two steps."""


class StopSignal:
    """Turns SIGTERM into a question that the training loop asks between two steps."""

    def __init__(self) -> None:
        self._received = False

    def listen(self) -> "StopSignal":
        """From now on SIGTERM is remembered instead of ending the process."""
        signal.signal(signal.SIGTERM, self._receive)
        return self

    @property
    def received(self) -> bool:
        """Whether SIGTERM has arrived."""
        return self._received

    def check(self, elsewhere: bool = False) -> None:
        """Return if all is well.

        Args:
            elsewhere: whether SIGTERM has arrived at another process of the same training.

        Raises:
            Interrupted: SIGTERM has arrived; the process then exits with 143.
        """
        if self._received or elsewhere:
            say("stopped as asked by SIGTERM")
            raise Interrupted(SIGTERM_EXIT)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = True


def keep_freed_memory() -> None:
    """Let glibc reuse freed memory instead of returning it to the system after every layer.

    Measured on EfficientNet-Lite0, batch 32, 2 cores: 33 instead of 94 ms per photo, the difference being page faults.
    What small results leave of the gaps between large ones is of no use any more: see ``return_freed_memory``.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30)


def return_freed_memory() -> None:
    """Return what glibc keeps to the system; to be called every minute or so of a long pass over photos.

    Measured on the extraction of ResNet50: without it a process grows by about 100 MB a minute, until it has 2.3 GB.
    """
    malloc_trim = _glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """Return a function of glibc; None where there is another C library."""
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function
