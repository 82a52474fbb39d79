"""OpenVINO and NNCF, imported so that they do not report to their makers.

Both send events over the network unless told not to, OpenVINO one at every import. What their manual names against it,
``opt_in_out --opt_out``, writes into the home of whoever runs it, and holds for that home only. Both do without the
package that sends, ``openvino_telemetry``, where it is not installed; so here it cannot be imported.
"""

import importlib
import sys
from types import ModuleType
from typing import Any, Final

_SENDER: Final = "openvino_telemetry"


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


def _without_reports(name: str) -> ModuleType:
    """Import ``name``. A name whose entry in sys.modules is None cannot be imported, says Python's manual."""
    sys.modules.setdefault(_SENDER, None)  # type: ignore[arg-type]
    return importlib.import_module(name)
