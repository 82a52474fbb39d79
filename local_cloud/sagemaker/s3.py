"""What jobs read from S3 and leave there."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contract.s3_uri import S3Uri
from local_cloud.sagemaker.config import TRANSFERS, S3Client, ServiceConfig
from local_cloud.sagemaker.errors import JobError

# A role's session may end after 15 minutes at the earliest (STS: DurationSeconds >= 900).
_SESSION_SECONDS = 600.0
S3_ERRORS = (BotoCoreError, ClientError)


def s3_uri(text: str) -> S3Uri:
    """Return the bucket and key that ``text`` names.

    Raises:
        JobError: it is no S3 URI.
    """
    try:
        return S3Uri.parse(text)
    except ValueError as error:
        raise JobError(f"ClientError: {error}") from error


class RoleSession:
    """A role's credentials and S3 client, renewed before they end."""

    def __init__(self, config: ServiceConfig, role_arn: str, name: str) -> None:
        """Act as ``role_arn`` from the first use on."""
        self._config = config
        self._role_arn = role_arn
        self._name = name
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._made = 0.0

    @property
    def role_arn(self) -> str:
        """Whose permissions count."""
        return self._role_arn

    def credentials(self) -> dict[str, str]:
        """Return fresh AWS_* variables."""
        return self._config.credentials_for(self._role_arn, self._name)

    def s3(self) -> S3Client:
        """Return a client with credentials that last some minutes more."""
        with self._lock:
            if self._client is None or time.monotonic() - self._made > _SESSION_SECONDS:
                self._client = self._config.s3_for(self.credentials())
                self._made = time.monotonic()
            return self._client


def list_keys(client: S3Client, prefix: S3Uri) -> Iterator[str]:
    """Yield the keys that start with ``prefix``, as S3 orders them."""
    page: dict[str, str] = {}
    while True:
        answer = client.list_objects_v2(Bucket=prefix.bucket, Prefix=prefix.key, **page)
        for found in answer.get("Contents", []):
            yield found["Key"]
        if not answer.get("IsTruncated"):
            return
        page = {"ContinuationToken": answer["NextContinuationToken"]}


def download_object(client: S3Client, source: S3Uri, target: Path) -> None:
    """Write one object to ``target``; the file appears when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with unfinished.open("wb") as file:
        shutil.copyfileobj(client.get_object(Bucket=source.bucket, Key=source.key)["Body"], file, 1 << 20)
    unfinished.replace(target)


def download_prefix(
    client: S3Client, prefix: S3Uri, folder: Path, cancelled: Callable[[], bool] = lambda: False
) -> int:
    """Fetch every object under ``prefix`` as SageMaker's File mode does, and return how many there were.

    ``s3://b/photos`` and ``s3://b/photos/`` both put ``photos/a/1.jpg`` at ``a/1.jpg``; an object that is the prefix
    itself keeps its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = list(list_keys(client, prefix))

    def fetch(key: str) -> None:
        if cancelled():
            return
        target = folder / relative_path(key, prefix.key)
        if key.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            download_object(client, S3Uri(prefix.bucket, key), target)

    _in_parallel(fetch, keys)
    return len(keys)


def relative_path(key: str, prefix: str) -> PurePosixPath:
    """Return where the object ``key`` belongs in a folder that stands for ``prefix``.

    Raises:
        JobError: it would lead out of the folder.
    """
    if prefix.endswith("/") or not prefix:
        rest = key[len(prefix) :]
    elif key.startswith(prefix + "/"):
        rest = key[len(prefix) + 1 :]
    else:
        rest = key[prefix.rfind("/") + 1 :]
    path = PurePosixPath(rest)
    if path.is_absolute() or ".." in path.parts:
        raise JobError(f"ClientError: the key {key!r} leads out of the folder it is to be written to")
    return path


def encryption(key: str | None) -> dict[str, str]:
    """Return how S3 is asked to encrypt an object with a KMS key; without one, as the bucket does by itself."""
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}


def upload_file(client: S3Client, source: Path, target: S3Uri, key: str | None = None) -> None:
    """Write one file to S3, encrypted with a KMS key where one is given."""
    with source.open("rb") as body:
        client.put_object(Bucket=target.bucket, Key=target.key, Body=body, **encryption(key))


def upload_tree(client: S3Client, folder: Path, prefix: S3Uri, key: str | None = None) -> None:
    """Write every file below ``folder`` to S3, under the same relative name."""

    def send(path: Path) -> None:
        upload_file(client, path, prefix / path.relative_to(folder).as_posix(), key)

    _in_parallel(send, files_below(folder))


def files_below(folder: Path) -> list[Path]:
    """Return the regular files below ``folder`` in order of their names; links that lead out of it are left out."""
    if not folder.is_dir():
        return []
    root = folder.resolve()
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.resolve().is_relative_to(root))


def _in_parallel(work: Callable[[Any], None], items: Iterable[Any]) -> None:
    with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="s3") as pool:
        pending = [pool.submit(work, item) for item in items]
        try:
            for future in pending:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
