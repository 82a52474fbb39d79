"""The folder that one local cloud owns: its lock, its credentials, its connection file, its parts' data."""

import fcntl
import json
import os
import secrets
import shutil
import string
from pathlib import Path
from typing import IO, Any

from local_cloud.settings import LocalCloudError


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Write ``text`` so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


class StateDirectory:
    """Paths below the state folder, and the lock that keeps a second local cloud out of it."""

    def __init__(self, root: Path) -> None:
        """Name the folder; nothing is touched before ``acquire``."""
        self.root = root.expanduser().resolve()
        self.log = self.root / "local-cloud.log"
        self.connection = self.root / "connection.json"
        self.permissions = self.root / "permissions.jsonl"
        self.tls = self.root / "tls"
        self.services = self.root / "services"
        self.objects = self.root / "s3"
        self.sagemaker = self.root / "sagemaker"
        self.scaling = self.root / "application-autoscaling"
        self.temporary = self.root / "tmp"
        self._credentials = self.root / "credentials.json"
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Create the folder and take its lock; the kernel drops it with the process, however that ends.

        Raises:
            LocalCloudError: the folder cannot be written, or another local cloud runs on it.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.root / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise LocalCloudError(f"--state {self.root}: {error.strerror}; choose a folder you can write to") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise LocalCloudError(
                f"another local cloud (process {holder}) runs on {self.root}: use that one, stop it, "
                "or give this one another --state folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        # Left behind by a killed predecessor: the file would point clients at nothing, the rest only takes space.
        self.connection.unlink(missing_ok=True)
        shutil.rmtree(self.temporary, ignore_errors=True)
        for folder in (self.tls, self.services, self.objects, self.sagemaker, self.scaling, self.temporary):
            folder.mkdir(mode=0o700, exist_ok=True)

    def credentials(self) -> tuple[str, str]:
        """Return the developer's access key id and secret; made once, so that they outlive a restart."""
        if self._credentials.exists():
            stored = json.loads(self._credentials.read_text(encoding="utf-8"))
            return stored["access_key_id"], stored["secret_access_key"]
        alphabet = string.ascii_uppercase + "234567"
        key_id = "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16))
        secret = secrets.token_urlsafe(30)
        write_atomically(
            self._credentials, json.dumps({"access_key_id": key_id, "secret_access_key": secret}, indent=1)
        )
        return key_id, secret

    def announce(self, connection: dict[str, Any]) -> None:
        """Write connection.json: from now on the local cloud can be used."""
        write_atomically(self.connection, json.dumps(connection, indent=1) + "\n")

    def withdraw(self) -> None:
        """Remove connection.json: nobody new may come."""
        self.connection.unlink(missing_ok=True)

    def release(self) -> None:
        """Remove connection.json and give the folder back; harmless when ``acquire`` never succeeded."""
        if self._lock is None:
            return
        self.withdraw()
        shutil.rmtree(self.temporary, ignore_errors=True)
        self._lock.close()
        self._lock = None
