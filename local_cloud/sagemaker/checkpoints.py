"""Checkpoints: restored from S3 before a job starts, and copied there while it runs."""

import threading
from pathlib import Path

from contract.s3_uri import S3Uri
from local_cloud.sagemaker.config import LogStream
from local_cloud.sagemaker.s3 import S3_ERRORS, RoleSession, download_prefix, files_below, upload_file

_Stamp = tuple[int, int]  # size, time of the last change in nanoseconds


class CheckpointSync:
    """Keeps an S3 prefix in step with a job's checkpoint folder, as SageMaker does: files are added, never removed."""

    def __init__(self, folder: Path, prefix: S3Uri, session: RoleSession, log: LogStream, seconds: float) -> None:
        """Nothing happens before ``restore`` and ``start``."""
        self._folder = folder
        self._prefix = prefix
        self._session = session
        self._log = log
        self._seconds = seconds
        self._copied: dict[Path, _Stamp] = {}
        self._seen: dict[Path, _Stamp] = {}
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def restore(self) -> None:
        """Fetch what an earlier attempt left."""
        download_prefix(self._session.s3(), self._prefix, self._folder)
        self._copied = self._scan()

    def start(self) -> None:
        """Copy in the background from now on."""
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Copy what is left, after the job's process has ended; errors are raised here."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self._copy(self._scan())

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self._copy_settled()
            except S3_ERRORS as error:
                # The next round tries again; the last one, in finish, raises.
                self._log.write(f"[sagemaker] checkpoints not copied to {self._prefix} this time: {error}")

    def _copy_settled(self) -> None:
        """Copy the files that have not changed since the last look, so that none is copied half-written."""
        found = self._scan()
        self._copy({path: stamp for path, stamp in found.items() if self._seen.get(path) == stamp})
        self._seen = found

    def _copy(self, stamps: dict[Path, _Stamp]) -> None:
        for path, stamp in stamps.items():
            if self._copied.get(path) == stamp:
                continue
            try:
                upload_file(self._session.s3(), path, self._prefix / path.relative_to(self._folder).as_posix())
            except FileNotFoundError:
                continue  # replaced or rotated away by the job since the scan
            self._copied[path] = stamp

    def _scan(self) -> dict[Path, _Stamp]:
        found: dict[Path, _Stamp] = {}
        for path in files_below(self._folder):
            if path.suffix == ".tmp":
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            found[path] = (state.st_size, state.st_mtime_ns)
        return found
