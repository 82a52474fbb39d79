"""``serve``: SageMaker's verb for an endpoint. Becomes the server that travels in the model artifact."""

import os
import pwd
import sys
from pathlib import Path
from typing import Final, NoReturn

from container.environment import BASE_DIR_VARIABLE, OPENMP_DEFAULTS, Layout
from container.errors import LaunchError

SERVER_MODULE: Final = "serving.server"
# Made by the Dockerfile. SageMaker starts containers as root; what reads photos of strangers need not stay that.
SERVER_USER: Final = "pedigree"


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
        **drop_privileges(server, SERVER_USER),
        BASE_DIR_VARIABLE: str(layout.base),
        "PYTHONPATH": str(code),
        "PYTHONUNBUFFERED": "1",
        "SM_MODEL_DIR": str(layout.model),
    }
    os.chdir(code)
    os.execve(sys.executable, [sys.executable, "-m", SERVER_MODULE], environment)  # noqa: S606  a list, no shell


def drop_privileges(server: Path, name: str) -> dict[str, str]:
    """Become the user ``name`` for good, if this is root and the user exists; return what changes in the environment.

    Nothing changes, and a line says so, where that user may not read the artifact: how SageMaker mounts it is its own
    business, and a server that runs as root is better than none.
    """
    if os.geteuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return {}  # not in our image: on a laptop the person's own user is the right one, whoever that is
    if not _may_read(server, user):
        print(f"serve: {name} may not read {server.parent}; the server runs as root", file=sys.stderr)
        return {}
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    return {"HOME": user.pw_dir, "USER": name}


def _may_read(server: Path, user: pwd.struct_passwd) -> bool:
    """Ask the system as that user: modes alone do not tell where access lists or other file systems decide."""
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        return os.access(server, os.R_OK, effective_ids=True)
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _listing(directory: Path) -> str:
    if not directory.is_dir():
        return "nothing, the folder does not exist"
    return ", ".join(sorted(entry.name for entry in directory.iterdir())) or "nothing"


if __name__ == "__main__":
    main()
