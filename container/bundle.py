"""The source bundle: fetched from S3 or found mounted, checked, unpacked."""

import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from container.environment import SUBMIT_DIRECTORY, Layout
from container.errors import LaunchError


def open_bundle(submitted: str, layout: Layout, region: str | None) -> IO[bytes]:
    """Return the source bundle, open for reading: an S3 object, or a file that a channel brought along.

    Args:
        submitted: s3://bucket/path/sourcedir.tar.gz; or, for a container that reaches no network, the path of the
            file or of a folder that holds nothing else, as it is where the container's base is /opt/ml.
        layout: where this container's base is.
        region: of the bucket.

    Raises:
        LaunchError: there is no such object or file.
    """
    if submitted.startswith("/"):
        return _mounted(layout.translated(submitted), submitted).open("rb")
    archive = tempfile.TemporaryFile()  # noqa: SIM115  whoever asked closes it
    try:
        fetch(submitted, archive, region)
    except BaseException:
        archive.close()
        raise
    archive.seek(0)
    return archive


def _mounted(path: Path, submitted: str) -> Path:
    if path.is_file():
        return path
    files = sorted(path.iterdir()) if path.is_dir() else []
    if len(files) == 1 and files[0].is_file():
        return files[0]
    there = ", ".join(file.name for file in files) or ("nothing" if path.is_dir() else "no such file or folder")
    raise LaunchError(
        f"{SUBMIT_DIRECTORY}={submitted!r}: a source bundle expected, or a folder that holds one and nothing else; "
        f"found: {there}"
    )


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
