"""Records that outlive the process: one JSON file each, replaced as a whole."""

import contextlib
import copy
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_TIME = "$time"


class Kind(StrEnum):
    """What records are of; also the resource in their ARN and their folder's name."""

    TRAINING_JOB = "training-job"
    TUNING_JOB = "hyper-parameter-tuning-job"
    TRANSFORM_JOB = "transform-job"
    MODEL = "model"
    ENDPOINT_CONFIG = "endpoint-config"
    ENDPOINT = "endpoint"
    MODEL_PACKAGE_GROUP = "model-package-group"
    MODEL_PACKAGE = "model-package"
    TAGS = "tags"


@dataclass
class Record:
    """What a Describe operation answers, and what only the service knows."""

    shown: dict[str, Any]
    private: dict[str, Any] = field(default_factory=dict)


class Store:
    """All records, in memory and on disk. Every record handed out is a copy."""

    def __init__(self, folder: Path, kinds: type[StrEnum] = Kind) -> None:
        """Keep records of ``kinds`` under ``folder``; nothing is read before ``load``."""
        self._folder = folder
        self._lock = threading.RLock()
        self._records: dict[StrEnum, dict[str, Record]] = {kind: {} for kind in kinds}

    def load(self) -> None:
        """Read every record from disk.

        Raises:
            ValueError: a file is no record; it names the file.
        """
        with self._lock:
            for kind in self._records:
                folder = self._folder / kind
                folder.mkdir(parents=True, exist_ok=True)
                for left_over in folder.glob("*.tmp"):
                    left_over.unlink()
                self._records[kind] = {unquote(path.stem): _read(path) for path in sorted(folder.glob("*.json"))}

    def get(self, kind: StrEnum, name: str) -> Record | None:
        """Return a copy of one record."""
        with self._lock:
            return copy.deepcopy(self._records[kind].get(name))

    def all(self, kind: StrEnum) -> list[Record]:
        """Return copies of all records of a kind."""
        with self._lock:
            return copy.deepcopy(list(self._records[kind].values()))

    def names(self, kind: StrEnum) -> list[str]:
        """Return the names of all records of a kind."""
        with self._lock:
            return list(self._records[kind])

    def add(self, kind: StrEnum, name: str, record: Record) -> bool:
        """Keep a new record; False if the name is taken."""
        with self._lock:
            if name in self._records[kind]:
                return False
            self._write(kind, name, record)
            return True

    @contextlib.contextmanager
    def edit(self, kind: StrEnum, name: str) -> Iterator[Record]:
        """Yield a copy that replaces the record when the block ends without an error.

        Raises:
            KeyError: there is no such record.
        """
        with self._lock:
            record = copy.deepcopy(self._records[kind][name])
            yield record
            self._write(kind, name, record)

    def put(self, kind: StrEnum, name: str, record: Record) -> None:
        """Keep a record, new or not."""
        with self._lock:
            self._write(kind, name, record)

    def remove(self, kind: StrEnum, name: str) -> bool:
        """Forget a record; False if there was none."""
        with self._lock:
            if self._records[kind].pop(name, None) is None:
                return False
            self._path(kind, name).unlink(missing_ok=True)
            return True

    def _path(self, kind: StrEnum, name: str) -> Path:
        return self._folder / kind / f"{quote(name, safe='')}.json"

    def _write(self, kind: StrEnum, name: str, record: Record) -> None:
        path = self._path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".tmp")
        text = json.dumps({"shown": record.shown, "private": record.private}, default=_encode, indent=1)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
        self._records[kind][name] = copy.deepcopy(record)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there.

    A file that a dying process still adds makes the first attempt fail now and then; the second comes after its end.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        shutil.rmtree(folder)


def _encode(value: Any) -> dict[str, float]:
    if isinstance(value, datetime):
        return {_TIME: value.timestamp()}
    raise TypeError(f"{type(value).__name__} cannot be kept in a record")


def _decode(value: dict[str, Any]) -> Any:
    return datetime.fromtimestamp(value[_TIME], UTC) if value.keys() == {_TIME} else value


def _read(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_hook=_decode)
        return Record(content["shown"], content["private"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no record of the local SageMaker ({error}): remove it to go on") from error
