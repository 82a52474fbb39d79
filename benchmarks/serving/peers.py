"""Other people's servers, installed on demand into build/bench/peers, apart from what Pedigree itself needs.

pip's --target keeps them out of the virtual environment: they come with a web stack of their own.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.record import BENCH

_REQUIREMENTS: Final = Path(__file__).parents[1] / "requirements.txt"


def install_peers() -> Path:
    """Return the folder with what benchmarks/requirements.txt names, installing it where that has changed."""
    folder = BENCH / "peers"
    wanted, installed = _REQUIREMENTS.read_text(encoding="utf-8"), folder / "requirements.txt"
    if not (installed.is_file() and installed.read_text(encoding="utf-8") == wanted):
        print(f"installing {_REQUIREMENTS.name} of the benchmarks into {folder}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(folder)]
        subprocess.run([*pip, "--requirement", str(_REQUIREMENTS)], check=True)
        installed.write_text(wanted, encoding="utf-8")
    return folder
