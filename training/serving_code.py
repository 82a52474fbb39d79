"""Puts the serving code into the artifact, so that a model is always served by the code that it was made with."""

import shutil
from pathlib import Path
from typing import Final

from contract.names import ArtifactFile

PACKAGES: Final = ("contract", "vision", "serving")


def copy_serving_code(source_root: Path, model_dir: Path) -> None:
    """Copy the packages that serving needs from the source bundle's root to ``model_dir``/code, replacing it.

    Raises:
        FileNotFoundError: a package is missing from the bundle.
    """
    code = model_dir / ArtifactFile.CODE
    shutil.rmtree(code, ignore_errors=True)
    for package in PACKAGES:
        if not (source_root / package / "__init__.py").is_file():
            raise FileNotFoundError(f"the source bundle at {source_root} has no {package}/: it holds {PACKAGES}")
        shutil.copytree(
            source_root / package, code / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "tests")
        )
