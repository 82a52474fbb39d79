"""``serve``: SageMaker's verb for an endpoint. Becomes the server that travels in the model artifact."""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

from container.environment import BASE_DIR_VARIABLE, OPENMP_DEFAULTS, Layout
from container.errors import LaunchError

SERVER_MODULE: Final = "serving.server"


def main() -> NoReturn:
    """Replace this process by the artifact's server; exit with 1 and the reason where there is none."""
    try:
        become_server(Layout.from_environment())
    except LaunchError as error:
        sys.exit(f"serve: {error}")


def become_server(layout: Layout) -> NoReturn:
    """Execute ``python -m serving.server`` in the artifact's code folder; no parent process stays behind.

    Raises:
        LaunchError: the artifact holds no server.
    """
    code = layout.model / "code"
    server = code.joinpath(*SERVER_MODULE.split(".")).with_suffix(".py")
    if not server.is_file():
        raise LaunchError(
            f"{server} is missing: model.tar.gz must hold code/{server.relative_to(code)}; "
            f"at its root: {_listing(layout.model)}"
        )
    environment = {
        **OPENMP_DEFAULTS,
        **os.environ,
        BASE_DIR_VARIABLE: str(layout.base),
        "PYTHONPATH": str(code),
        "PYTHONUNBUFFERED": "1",
        "SM_MODEL_DIR": str(layout.model),
    }
    os.chdir(code)
    os.execve(sys.executable, [sys.executable, "-m", SERVER_MODULE], environment)  # noqa: S606  a list, no shell


def _listing(directory: Path) -> str:
    if not directory.is_dir():
        return "nothing, the folder does not exist"
    return ", ".join(sorted(entry.name for entry in directory.iterdir())) or "nothing"


if __name__ == "__main__":
    main()
