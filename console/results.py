"""What a succeeded execution left in the bucket, brought here."""

import json
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.errors import ConsoleError
from console.files import replacing
from contract.names import OutputFile, PreparedFile
from contract.s3_uri import S3Uri

REPORT: Final = "report.html"
SAMPLE: Final = "sample.jpg"
# A report with its plots has some 100 KB; a member that claims more than this is no report.
_MAX_MEMBER_BYTES: Final = 100 * 1024 * 1024


@dataclass(frozen=True)
class Results:
    """The parts of an execution's results that the console shows."""

    metrics: Mapping[str, Any]
    manifest: Mapping[str, Any]
    report: Path | None
    sample: Path | None


def fetch(cloud: Cloud, output: Mapping[str, Any], folder: Path, bucket: str) -> Results:
    """Read metrics and manifest, write report.html, findings.json and sample.jpg into ``folder``."""
    s3 = cloud.client("s3")
    with tempfile.TemporaryDirectory(prefix="pedigree-") as temporary:
        archive = Path(temporary) / "output.tar.gz"
        location = parse_uri(output["output_uri"])
        s3.download_file(*location, str(archive))
        members = read_members(archive, (OutputFile.METRICS, OutputFile.REPORT, OutputFile.FINDINGS))
    report = _write(folder / REPORT, members.get(OutputFile.REPORT))
    _write(folder / OutputFile.FINDINGS, members.get(OutputFile.FINDINGS))
    photo = str((output.get("sample") or {}).get("photo", ""))
    return Results(
        metrics=json.loads(members.get(OutputFile.METRICS, b"{}")),
        manifest=json.loads(_get(s3, f"{output['prepared_uri'].rstrip('/')}/{PreparedFile.MANIFEST}") or b"{}"),
        report=report,
        sample=_write(folder / SAMPLE, _get(s3, photo if "://" in photo else f"s3://{bucket}/{photo}"))
        if photo
        else None,
    )


def parse_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an ``s3://bucket/key``.

    Raises:
        ConsoleError: it is something else.
    """
    try:
        place = S3Uri.parse(uri)
    except ValueError as error:
        raise ConsoleError(f"{error}.") from error
    if not place.key.strip("/"):
        raise ConsoleError(f"{uri!r} names no object: s3://bucket/key expected.")
    return place.bucket, place.key


def read_members(archive: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the wanted regular files at an archive's root; nothing is unpacked, so no path in it can lead anywhere."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as packed:
        for member in packed:
            name = str(PurePosixPath(member.name))
            if name not in names or not member.isfile():
                continue
            if member.size > _MAX_MEMBER_BYTES:
                raise ConsoleError(f"{name} in {archive.name} has {member.size} bytes: that is no {name}.")
            content = packed.extractfile(member)
            assert content is not None, "a regular file has content"
            found[name] = content.read()
    return found


def _get(s3: Any, uri: str) -> bytes | None:
    bucket, key = parse_uri(uri)
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return body


def _write(path: Path, content: bytes | None) -> Path | None:
    if content is None:
        return None
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path
