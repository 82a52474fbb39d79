"""The source bundle: fetched from S3, checked, unpacked."""

import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from container.environment import SUBMIT_DIRECTORY
from container.errors import LaunchError


def fetch(uri: str, target: IO[bytes], region: str | None) -> None:
    """Copy the S3 object at ``uri`` into ``target``.

    Raises:
        LaunchError: ``uri`` names no S3 object, or the object cannot be read.
    """
    parts = urlsplit(uri)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if parts.scheme != "s3" or not bucket or not key:
        raise LaunchError(f"{SUBMIT_DIRECTORY}={uri!r}: s3://bucket/path/sourcedir.tar.gz expected")
    # Imported here: loading botocore takes longer than everything else that the launcher does.
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        s3: Any = botocore.session.get_session().create_client("s3", region_name=region)
        shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], target)
    except (BotoCoreError, ClientError) as error:
        raise LaunchError(
            f"cannot read the source bundle {uri}: {error}; "
            "the object must exist and the job's role be allowed s3:GetObject on it"
        ) from error


def unpack(archive: IO[bytes], directory: Path, name: str) -> None:
    """Unpack a tar.gz into ``directory``, replacing what was there; nothing appears there unless all of it is good.

    Args:
        archive: The tar.gz, readable from its current position.
        directory: Where the files go.
        name: What to call the archive in messages.

    Raises:
        LaunchError: it is no tar.gz, or holds something other than files and folders below its root.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{directory.name}.", dir=directory.parent) as scratch:
        unpacked = Path(scratch, "bundle")
        unpacked.mkdir()
        try:
            with tarfile.open(fileobj=archive, mode="r:gz") as tar:
                members = tar.getmembers()
                for member in members:
                    _check_member(member, name)
                # The filter checks again, and drops owners and unusual permissions.
                tar.extractall(unpacked, members, filter="data")
        except (tarfile.TarError, EOFError, OSError) as error:
            raise LaunchError(f"{name} cannot be unpacked: {_what_is_wrong(archive, error)}") from error
        if directory.exists():
            shutil.rmtree(directory)
        unpacked.replace(directory)


def _check_member(member: tarfile.TarInfo, name: str) -> None:
    """Refuse what could reach outside the folder, or is no code."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise LaunchError(f"{name} holds {member.name!r}, which lies outside the bundle: unsafe, nothing was unpacked")
    if not (member.isfile() or member.isdir()):
        raise LaunchError(
            f"{name} holds {member.name!r}, a link or device: only files and folders expected, nothing was unpacked"
        )


def _what_is_wrong(archive: IO[bytes], error: Exception) -> str:
    """Say why an archive could not be read, from its first bytes."""
    archive.seek(0)
    start = archive.read(4)
    if start.startswith(b"PK"):
        return "it is a zip file; SageMaker expects a gzip-compressed tar archive (sourcedir.tar.gz)"
    if not start.startswith(b"\x1f\x8b"):
        return f"a gzip-compressed tar archive (sourcedir.tar.gz) expected, it starts with {start!r}"
    return f"the gzip-compressed tar archive is damaged or incomplete ({error})"


def find_program(code: Path, program: str) -> Path:
    """Return the entry point in the unpacked bundle.

    Raises:
        LaunchError: it is not there; the message lists what is.
    """
    path = code / program
    if not path.resolve().is_relative_to(code.resolve()):
        raise LaunchError(f"sagemaker_program={program!r}: a path within the source bundle expected")
    if not path.is_file():
        root = ", ".join(sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in code.iterdir()))
        raise LaunchError(
            f"sagemaker_program={program!r} is not in the source bundle; at its root: {root or 'nothing'}"
        )
    return path
