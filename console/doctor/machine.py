"""This machine: the programs, the disk, the ports."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import psutil

from console.doctor.result import Result, Subject, ok, problem, warning
from console.errors import ConsoleError
from console.laptop import PORTS, Laptop, chosen_port

_OLDEST_NODE: Final = 20
# The local cloud's state, a data set three times over (archive, photos, prepared photos), features and models.
_FREE_GB: Final = 10
_SCARCE_GB: Final = 3


def python(subject: Subject) -> Iterator[Result]:
    """The Debugger's library ends at Python 3.12."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        yield ok("Python", version)
    else:
        yield problem("Python", f"{version}; 3.11 or 3.12 is needed", "make clean setup PYTHON=python3.12")


def node(subject: Subject) -> Iterator[Result]:
    """The CDK CLI runs in Node."""
    try:
        said = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=20).stdout.strip()
    except (FileNotFoundError, subprocess.TimeoutExpired):
        yield problem("Node", "not on the PATH; the CDK CLI needs it", "Install Node 20 or newer: https://nodejs.org")
        return
    major = re.match(r"v(\d+)\.", said)
    if major is not None and int(major[1]) >= _OLDEST_NODE:
        yield ok("Node", said)
    else:
        found = f"{said or 'no version'}; {_OLDEST_NODE} or newer is needed"
        yield problem("Node", found, "Install a newer one: https://nodejs.org")


def cdk_cli(subject: Subject) -> Iterator[Result]:
    """The CDK CLI that package.json pins, not the person's own."""
    if subject.project.cdk_cli.exists():
        yield ok("CDK CLI", str(subject.project.cdk_cli))
    else:
        yield problem("CDK CLI", f"{subject.project.cdk_cli} is missing", "make setup")


def programs(subject: Subject) -> Iterator[Result]:
    """On the laptop the virtual environment is the image of every job."""
    missing = [name for name in ("train", "serve") if not (subject.project.programs / name).exists()]
    if missing:
        found = f"{', '.join(missing)} missing in {subject.project.programs}"
        yield problem("Virtual environment", found, "make setup")
    else:
        yield ok("Virtual environment", str(subject.project.programs.parent))


def disk(subject: Subject) -> Iterator[Result]:
    """Room for photos and models."""
    free = shutil.disk_usage(subject.project.root).free / 1e9
    found = f"{free:.0f} GB free for {subject.project.build}"
    if free >= _FREE_GB:
        yield ok("Disk", found)
    elif free >= _SCARCE_GB:
        yield warning("Disk", f"{found}; {_FREE_GB} GB are comfortable", "Free some, or keep the data set small")
    else:
        yield problem("Disk", f"{found}; {_SCARCE_GB} GB are the least", "Free some: du -sh build/*")


def ports(subject: Subject) -> Iterator[Result]:
    """The local cloud's two ports are free, or its own."""
    assert isinstance(subject.cloud, Laptop), "only the laptop's cloud listens here"
    ours = subject.cloud.running() is not None
    for variable in PORTS:
        name = f"Port ({variable})"
        try:
            port = int(chosen_port(variable))
        except ConsoleError as error:
            yield problem(name, error.message, f"unset {variable}")
            continue
        if _is_free(port):
            yield ok(name, f"{port} is free")
        elif ours:
            yield ok(name, f"{port} is held, the local cloud is running")
        else:
            yield problem(name, f"{port} is busy: {_holder(port)}", f"export {variable}={_free_port()}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _holder(port: int) -> str:
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return f"process {each.pid} ({psutil.Process(each.pid).name()})"
    except psutil.Error:
        return "another process"  # macOS shows other processes' sockets to root only
    return "another process"


def proxies(subject: Subject) -> Iterator[Result]:
    """A proxy is used for downloads and never for the local cloud; said, since it explains much."""
    found = sorted(name for name in os.environ if name.lower() in ("https_proxy", "http_proxy") and os.environ[name])
    if found:
        yield ok("Proxy", f"{', '.join(found)} set; used for what is not on this machine")
