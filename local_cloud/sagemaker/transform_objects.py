"""What a transform job reads, request by request, and where its answers go."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.s3_uri import S3Uri
from local_cloud.sagemaker.config import S3Client
from local_cloud.sagemaker.errors import JobError
from local_cloud.sagemaker.s3 import list_keys, relative_path, s3_uri


class ObjectError(Exception):
    """One object cannot be transformed; the others go on."""


@dataclass(frozen=True)
class InputObject:
    """One object to be transformed, and the name of its answer below the job's output path."""

    uri: S3Uri
    output: str


def objects_of(client: S3Client, source: Mapping[str, Any]) -> list[InputObject]:
    """Return the objects below a prefix, or those that a manifest names; markers of folders are none.

    Raises:
        JobError: there are none, a manifest is none, or a key would lead out of the output path.
    """
    uri = s3_uri(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        found = _in_manifest(uri, client.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read())
    else:
        keys = (key for key in list_keys(client, uri) if not key.endswith("/"))
        found = [InputObject(S3Uri(uri.bucket, key), f"{relative_path(key, uri.key)}.out") for key in keys]
    if not found:
        raise JobError(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the '
            "bucket exists in the selected region, that objects exist under that S3 prefix, and that the model's role "
            f'has "s3:ListBucket" permissions on bucket "{uri.bucket}".'
        )
    return found


def _in_manifest(uri: S3Uri, content: bytes) -> list[InputObject]:
    """Read ``[{"prefix": "s3://bucket/a/"}, "1.jpg", ...]``."""
    try:
        head, *names = json.loads(content)
        prefix = s3_uri(head["prefix"])
    except (ValueError, TypeError, KeyError) as error:
        raise JobError(f"ClientError: {uri} is no manifest: {error}") from error
    found = []
    for name in names:
        if not isinstance(name, str):
            raise JobError(f"ClientError: {uri} is no manifest: {str(name)[:100]} is no name of an object")
        key = prefix.key + name
        found.append(InputObject(S3Uri(prefix.bucket, key), f"{relative_path(key, prefix.key)}.out"))
    return found


def payloads(path: Path, *, by_line: bool, single: bool, limit: int | None) -> Iterator[bytes]:
    """Yield the bodies of the requests for one object: the whole of it, a line each, or as many lines as fit.

    Empty lines are no records.

    Raises:
        ObjectError: the object, or one line of it, is larger than ``limit`` bytes.
    """
    most = -1 if limit is None else limit + 1  # one byte more tells that it is too large
    with path.open("rb") as file:
        if not by_line:
            yield _within(file.read(most), limit)
            return
        gathered: list[bytes] = []
        size = 0
        while line := file.readline(most if limit is None else most + 1):  # the line break does not count
            record = _within(line.removesuffix(b"\n"), limit)
            if not record:
                continue
            if gathered and (single or (limit is not None and size + len(record) > limit)):
                yield b"\n".join(gathered)
                gathered, size = [], 0
            gathered.append(record)
            size += len(record) + 1  # with the line break before the next one
        if gathered:
            yield b"\n".join(gathered)


def _within(record: bytes, limit: int | None) -> bytes:
    if limit is not None and len(record) > limit:
        raise ObjectError(f"ClientError: a record is larger than MaxPayloadInMB ({limit:,} bytes)")
    return record
