"""Photos from an S3 bucket: one zip, or all objects below a prefix, several at a time."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from contract.s3_uri import S3Uri
from training.archive import Limits, is_hidden
from training.errors import PhotosError

THREADS: Final = 16
BODY_ATTEMPTS: Final = 3
_PROGRESS_SECONDS: Final = 5.0


@dataclass(frozen=True)
class _Object:
    key: str
    size: int
    place: PurePosixPath


def fetch_from_bucket(uri: str, target: Path, say: Callable[[str], None], limits: Limits | None = None) -> Path:
    """Return the folder ``target`` with the objects below ``uri``, or the zip file that ``uri`` names.

    Raises:
        PhotosError: no such bucket or objects, no permission, unsafe keys, too much, connection lost.
    """
    try:
        place = S3Uri.parse(uri)
    except ValueError as error:
        raise PhotosError(f"{uri!r} names no bucket: give s3://bucket/prefix or s3://bucket/photos.zip") from error
    bucket, key = place.bucket, place.key.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    try:
        client = boto3.client("s3", config=Config(max_pool_connections=THREADS, retries={"mode": "standard"}))
        if key.lower().endswith(".zip"):
            archive = target / "photos.zip"
            say(f"downloading {uri}")
            client.download_file(bucket, key, str(archive))
            return archive
        _fetch_all(client, bucket, _listed(client, bucket, key, limits or Limits()), target, say)
    except ClientError as error:
        raise _explained(uri, error) from error
    except BotoCoreError as error:
        raise PhotosError(f"{uri} cannot be read ({error}): check credentials, region and network") from error
    return target


def _explained(uri: str, error: ClientError) -> PhotosError:
    code = error.response.get("Error", {}).get("Code", "")
    if code in ("404", "NoSuchKey", "NoSuchBucket", "NotFound"):
        return PhotosError(f"{uri} was not found ({code}): check the bucket's and the object's name")
    if code in ("403", "AccessDenied", "Forbidden"):
        return PhotosError(f"{uri} may not be read ({code}): give the job's role s3:GetObject and s3:ListBucket on it")
    return PhotosError(f"{uri} cannot be read: {error}")


def _listed(client: Any, bucket: str, prefix: str, limits: Limits) -> list[_Object]:
    # s3://bucket/dogs means the folder dogs/, not dogs2/ as well.
    prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"
    objects: list[_Object] = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            key, size = entry["Key"], entry["Size"]
            place = PurePosixPath(key[len(prefix) :])
            if place.is_absolute() or ".." in place.parts:
                raise PhotosError(f"s3://{bucket}/{key} has an unsafe name: rename the object")
            if key.endswith("/") or not place.parts or is_hidden(place):
                continue
            objects.append(_Object(key, size, place))
    if not objects:
        raise PhotosError(f"s3://{bucket}/{prefix} holds no objects: check the bucket's name and the prefix")
    total = sum(o.size for o in objects)
    if len(objects) > limits.files or total > limits.total_bytes:
        raise PhotosError(
            f"s3://{bucket}/{prefix} holds {len(objects):,} objects of {total:,} bytes; at most {limits.files:,} "
            f"of {limits.total_bytes:,} are read"
        )
    return objects


def _fetch_all(client: Any, bucket: str, objects: Iterable[_Object], target: Path, say: Callable[[str], None]) -> None:
    objects = list(objects)
    stop = threading.Event()

    def fetch(one: _Object) -> None:
        if stop.is_set():
            return
        path = target / one.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_read(client, bucket, one.key))

    with ThreadPoolExecutor(THREADS) as pool:
        said = time.monotonic()
        waiting = [pool.submit(fetch, one) for one in objects]
        try:
            for done, finished in enumerate(as_completed(waiting), start=1):
                finished.result()
                if time.monotonic() - said > _PROGRESS_SECONDS:
                    said = time.monotonic()
                    say(f"downloaded {done:,} of {len(objects):,} objects")
        finally:
            stop.set()  # after an error nothing more is fetched


def _read(client: Any, bucket: str, key: str) -> bytes:
    """Return the object's bytes; botocore retries the request, but not a body that breaks off."""
    for _ in range(BODY_ATTEMPTS - 1):
        try:
            return _body(client, bucket, key)
        except (IncompleteReadError, ResponseStreamingError, ReadTimeoutError):
            continue
    return _body(client, bucket, key)


def _body(client: Any, bucket: str, key: str) -> bytes:
    content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content
