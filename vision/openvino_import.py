"""OpenVINO and NNCF, imported so that they do not report to their makers.

Both send events over the network unless told not to, OpenVINO one at every import. What their manual names against it,
``opt_in_out --opt_out``, writes into the home of whoever runs it, and holds for that home only. Both do without the
package that sends, ``openvino_telemetry``, where it is not installed; so here it cannot be imported.
"""

import ctypes
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

_SENDER: Final = "openvino_telemetry"


class _SignalStack(ctypes.Structure):
    """Linux's stack_t, see sigaltstack(2)."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def load_openvino() -> Any:
    """Return the module ``openvino``.

    Raises:
        ImportError: it is not installed.
    """
    return _without_reports("openvino")


def load_nncf() -> Any:
    """Return the module ``nncf``.

    Raises:
        ImportError: it is not installed.
    """
    return _without_reports("nncf")


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Give the thread its signal stack back after a block in which a network is compiled for the CPU.

    Each Core that compiles one gives the thread a stack for signal handlers, and frees it when the Core goes. Where two
    Cores do not go in the reverse order of their coming, the thread is left with freed memory: the next SIGTERM that
    Python handles then ends the process with a segmentation fault.
    """
    if sys.platform != "linux":
        yield
        return
    system, before = ctypes.CDLL(None, use_errno=True), _SignalStack()
    system.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        if system.sigaltstack(ctypes.byref(before), None):
            raise OSError(ctypes.get_errno(), "the thread's signal stack cannot be set back")


def _without_reports(name: str) -> ModuleType:
    """Import ``name``. A name whose entry in sys.modules is None cannot be imported, says Python's manual."""
    sys.modules.setdefault(_SENDER, None)  # type: ignore[arg-type]
    return importlib.import_module(name)
