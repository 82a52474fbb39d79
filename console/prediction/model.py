"""A model's files on this disk: unpacked once, under a name that no other model has."""

import hashlib
import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError

from console.cloud import Cloud
from console.errors import ConsoleError
from console.interrupts import shielded
from console.results import parse_uri
from console.stacks import command, deployed
from contract.names import ArtifactFile, Prefix

# Written last, into a folder that gets its name afterwards.
_COMPLETE: Final = ArtifactFile.WEIGHTS


def given_model(path: Path, cache: Path) -> Path:
    """Return the folder of the model at ``path``: itself, or what a model.tar.gz holds.

    Raises:
        ConsoleError: there is no model.
    """
    if path.is_dir():
        if not (path / ArtifactFile.MODEL).is_file():
            raise ConsoleError(f"{path} is no model: it has no {ArtifactFile.MODEL}.", "What model.tar.gz holds.")
        return path
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConsoleError(f"{path}: {error.strerror}.") from error
    return _kept(cache / f"file-{digest[:16]}", lambda folder: _unpack(path, folder))


def served_model(cloud: Cloud, cache: Path) -> Path:
    """Return the folder of the model that the stage serves, brought here if this version is not here yet.

    Raises:
        ConsoleError: no model is being served, or it cannot be fetched.
    """
    stage = deployed(cloud)
    s3 = cloud.client("s3")
    try:
        answer = s3.get_object(Bucket=stage.bucket, Key=f"{Prefix.PRODUCTION}/model.json")
        package = str(json.loads(answer["Body"].read())["model_package_arn"])
        described = cloud.client("sagemaker").describe_model_package(ModelPackageName=package)
        bucket, key = parse_uri(described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])
        # A version's number may be given again, after the stage was removed: the content is what counts.
        tag = str(s3.head_object(Bucket=bucket, Key=key)["ETag"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise ConsoleError("No model is being served yet.", f"Train one: {command(cloud, 'run')}") from error
        raise
    version = "-".join(package.split("/")[-2:])
    name = f"{version}-{hashlib.sha256(f'{package} {tag}'.encode()).hexdigest()[:12]}"

    def fetch(folder: Path) -> None:
        archive = folder.parent / "model.tar.gz"
        s3.download_file(bucket, key, str(archive))
        _unpack(archive, folder)

    return _kept(cache / name, fetch)


def _kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return ``folder``, made if it is not there; it appears when it is complete."""
    if (folder / _COMPLETE).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as temporary:
        made = Path(temporary) / "model"
        make(made)
        if not (made / _COMPLETE).is_file():
            raise ConsoleError(f"That is no model: it holds no {_COMPLETE}.")
        with shielded():
            _put_in_place(made, folder)
    return folder


def _put_in_place(made: Path, folder: Path) -> None:
    """Rename what was made, unless another command was faster: what that one put there may be in use."""
    try:
        made.rename(folder)
    except OSError:
        if not (folder / _COMPLETE).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:gz") as packed:
            packed.extractall(folder, filter="data")  # refuses what leads out of the folder, and devices
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ConsoleError(f"{archive.name} cannot be unpacked: {error}") from error


def program_of(model: Path) -> Path:
    """Return the folder of the model's own code.

    Raises:
        ConsoleError: it has none that classifies folders.
    """
    code = model / ArtifactFile.CODE
    if not (code / "serving" / "folder.py").is_file():
        raise ConsoleError(
            "The model's own code cannot classify folders: it was made before that was possible.",
            "Train it again: pedigree run. Single photos can be asked: pedigree predict photo.jpg",
        )
    return code
