"""Where engines keep what takes long to make, and which engine was picked: one folder per artifact and machine."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

from contract.names import ArtifactFile
from serving.cores import available_cores
from serving.logs import logger

FOLDER: Final = "engines"
# Counts up when what is measured or kept changes its meaning.
_FORMAT: Final = 1
_LOCK: Final = "lock"
# What the engines' answers depend on.
_FILES: Final = (ArtifactFile.WEIGHTS, ArtifactFile.PREPROCESSING, ArtifactFile.CHECK, ArtifactFile.INT8)
_PACKAGES: Final = ("torch", "openvino", "torch_tensorrt")


def engines_folder(artifact: Path) -> Path | None:
    """Return a folder that only this user writes to: in the artifact, else a cache of the user's; None: neither."""
    temporary = Path(tempfile.gettempdir()) / f"pedigree-{FOLDER}-{os.geteuid()}"
    for folder in (artifact / FOLDER, _user_cache(), temporary):
        if folder is not None and _is_ours(folder):
            return folder
    logger.warning("no folder to keep engines in: every start measures anew")
    return None


def _user_cache() -> Path | None:
    """Return the user's; None: who is only a number to the system, as in some containers, has no home."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(cache) / "pedigree" / FOLDER


def _is_ours(folder: Path) -> bool:
    """Make the folder; networks are read from it, so nobody else may have put them there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    return private and os.access(folder, os.W_OK)


def cache_key(artifact: Path) -> str:
    """Return a name for what a pick depends on: the artifact's networks, versions, processor or GPU, and cores."""
    sha = hashlib.sha256()
    for name in (*_FILES, Path(ArtifactFile.INT8).with_suffix(".bin").name):
        sha.update(f"{name}:{_sha256(artifact / name)}\n".encode())
    facts = [_FORMAT, sys.version, platform.machine(), _processor(), available_cores(), torch.get_num_threads()]
    facts += [_version(package) for package in _PACKAGES]
    facts += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    sha.update(json.dumps(facts).encode())
    return sha.hexdigest()[:32]


def _sha256(path: Path) -> str:
    if not path.is_file():
        return "none"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    """Return the processor's name and which of its instructions PyTorch sees."""
    lines = Path("/proc/cpuinfo")
    named = (
        [line for line in lines.read_text().splitlines() if line.startswith("model name")] if lines.is_file() else []
    )
    return f"{named[0] if named else platform.processor()} {sorted(torch.cpu.get_capabilities().items())}"


class EngineCache:
    """What is kept for one key; with no folder nothing is."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def take(self, wanted: str) -> dict[str, Any] | None:
        """Return what ``keep`` kept, which is gone then: a start that it makes crash does not find it again."""
        if self.folder is None:
            return None
        path = self._record(wanted)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            path.unlink()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logger.warning("the kept pick of an engine is ignored: %r", error)
            return None
        return record if isinstance(record, dict) else None

    def keep(self, wanted: str, record: dict[str, Any]) -> None:
        """Write a record, by renaming; where that fails the next start measures anew."""
        if self.folder is None:
            return
        path = self._record(wanted)
        partial = path.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            logger.warning("the pick of an engine is not kept: %r", error)

    def clear(self) -> None:
        """Forget everything, because something in it is not to be trusted."""
        if self.folder is None:
            return
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                entry.unlink(missing_ok=True)

    def _record(self, wanted: str) -> Path:
        assert self.folder is not None
        return self.folder / f"choice-{wanted}.json"


@contextmanager
def opened(root: Path | None, key: str) -> Iterator[EngineCache]:
    """Give the folder of ``key`` to one process at a time: processes of several GPUs start together."""
    folder = root / key if root is not None else None
    try:
        if folder is not None:
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = (folder / _LOCK).open("w")
    except OSError as error:
        logger.warning("%s cannot be used: %r", folder, error)
        folder = None
    if folder is None:
        yield EngineCache(None)
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        yield EngineCache(folder)
