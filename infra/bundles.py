"""Archives of our own code whose bytes depend on nothing but the code: same sources, same asset, nothing redeployed."""

import gzip
import importlib.util
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from aws_cdk import Stage
from constructs import Construct

ROOT: Final = Path(__file__).parents[1]
_MODE: Final = 0o644
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold


def write_source_bundle(target: Path, packages: Sequence[str], root: Path = ROOT) -> Path:
    """Write a tar.gz of whole packages of the repository, each under its own name, and return its path."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for package in packages:
            for file, name in _files(root / package, package):
                content = file.read_bytes()
                entry = tarfile.TarInfo(name)  # user, group and time are zero unless set
                entry.size = len(content)
                entry.mode = _MODE
                archive.addfile(entry, io.BytesIO(content))
    outer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=outer, mode="wb", mtime=0) as compressed:
        compressed.write(inner.getvalue())
    return _write(target, outer.getvalue())


def write_zip(
    target: Path,
    *,
    files: Mapping[str, Path] | None = None,
    packages: Sequence[str] = (),
    installed: Sequence[str] = (),
    root: Path = ROOT,
) -> Path:
    """Write a zip of single files under names of their own beside whole packages, and return its path.

    Args:
        target: the zip.
        files: by their names in it.
        packages: of the repository.
        installed: packages of other people in plain Python, as they are installed here, so at the pinned version.
        root: of the repository.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        entries = [(file, name) for name, file in (files or {}).items()]
        for package in packages:
            entries += _files(root / package, package)
        for package in installed:
            entries += _files(_installed(package), package)
        for file, name in sorted(entries, key=lambda entry: entry[1]):
            info = zipfile.ZipInfo(name, date_time=_ZIP_EPOCH)
            info.external_attr = _MODE << 16
            info.create_system = 3  # Unix, wherever it is made
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return _write(target, content.getvalue())


def bundle_path(scope: Construct, name: str) -> Path:
    """Return where an archive is built: beside the templates that refer to it."""
    assembly = Stage.of(scope)
    assert assembly is not None, "every construct stands in an App, which is a Stage"
    return Path(assembly.outdir) / "bundles" / name


def _installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"{package} is not installed: pip install -r requirements.txt")
    return Path(spec.submodule_search_locations[0])


def _files(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield every file below ``folder`` and its name in the archive, sorted.

    Raises:
        FileNotFoundError: the folder is missing or holds no file.
    """
    inside = sorted((file.relative_to(folder).as_posix(), file) for file in folder.rglob("*") if file.is_file())
    kept = [(path, file) for path, file in inside if not _is_left_out(path)]
    if not kept:
        raise FileNotFoundError(f"{folder} holds no files; the bundle needs the package {name}")
    yield from ((file, f"{name}/{path}") for path, file in kept)


def _is_left_out(path: str) -> bool:
    """Return whether a file is the work of an interpreter, an editor or a file manager."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.split("/")) or path.endswith(".pyc")


def _write(target: Path, content: bytes) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(content)
    partial.replace(target)
    return target
