"""Job: fetch photos, look at every one, and leave a data set that no later step can stumble over.

python training/prepare.py --source ../photos --model-dir build/prepared
"""

import argparse
import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from contract.names import SPLITS, Channel, PreparedFile
from training.arrangement import arrange
from training.dataset_layout import FoundPhoto, find_photos
from training.duplicates import MOST_PHOTOS, NearDuplicates, find_near_duplicates
from training.environment import channel_variable
from training.errors import PhotosError
from training.examples import save_examples
from training.manifest import Manifest
from training.photo_file import PhotoResult, prepare_photo
from training.photo_list import list_files
from training.shards import shard_files
from training.sources import KINDS, Source
from training.splits import check_folders
from training.workers import map_in_processes

MOST_SHOWN: Final = 10
# The test photos stay files: the smoke test takes one of them out of the bucket, and they are read once.
SHARDED: Final = ("train", "valid")
FOLDERS: Final = (*SPLITS, PreparedFile.EXAMPLES)


def say(text: str) -> None:
    """Print a line for the job's log at once; names out of archives may hold control characters."""
    print("".join(c if c.isprintable() else "?" for c in f"prepare: {text}"), flush=True)


def prepare(
    source: Source, model_dir: Path, seed: int, processes: int | None = None, shard_photos: int = 0
) -> Manifest:
    """Leave the prepared data set of ``source`` in ``model_dir``; a prepared one that is there is replaced.

    It is built beside ``model_dir`` and moved there when complete; manifest.json comes last.

    Args:
        source: of the photos.
        model_dir: gets the data set.
        seed: of the drawn photos and of splits that are made here.
        processes: how many look at photos; by default one per core.
        shard_photos: how many training and validation photos each shard gets; 0: every photo is a file.

    Raises:
        PhotosError: the source cannot be fetched, its photos cannot be trained on, or ``model_dir`` holds other photos.
    """
    _check_target(source, model_dir)
    model_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".prepare-", dir=model_dir.resolve().parent))
    try:
        layout = find_photos(source.fetch(scratch, seed, say))
        folders = check_folders(layout.file_counts, dict(layout.left_out))
        build = scratch / "build"
        build.mkdir()
        results = _decode_all(layout.photos, build, processes)
        arranged = arrange(layout, results, seed)
        for number, place in arranged.places.items():
            (build / place).parent.mkdir(parents=True, exist_ok=True)
            _decoded(build, number).rename(build / place)
        near_duplicates = find_near_duplicates(arranged.looks, build)
        save_examples(build / PreparedFile.EXAMPLES, build, folders, arranged.sizes, arranged.looks)
        for split in SHARDED if shard_photos else ():
            files = list_files(build / split, folders)
            say(f"{split}: {shard_files(build / split, folders, files, shard_photos):,} shards")
        manifest = arranged.manifest(source.shown, seed, folders, near_duplicates)
        _publish(build, model_dir, manifest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def _check_target(source: Source, model_dir: Path) -> None:
    """Refuse a target whose photos would be lost: the source itself, or folders that this job did not leave."""
    target, local = model_dir.resolve(), Path(source.text).expanduser().resolve()
    if Path(source.text).expanduser().is_dir() and (target.is_relative_to(local) or local.is_relative_to(target)):
        raise PhotosError(f"the model dir {model_dir} and the source {source.text} overlap: give another --model-dir")
    ours = any((model_dir / name).exists() for name in (PreparedFile.SUMMARY, PreparedFile.MANIFEST))
    if not ours and any((model_dir / name).exists() for name in FOLDERS):
        raise PhotosError(f"{model_dir} holds photos that this job did not put there: give an empty --model-dir")


def _decode_all(photos: Sequence[FoundPhoto], build: Path, processes: int | None) -> list[PhotoResult]:
    jobs = [(photo.path, _decoded(build, number)) for number, photo in enumerate(photos)]
    say(f"looking at {len(jobs):,} files")
    return map_in_processes(_prepare_one, jobs, what="photos", say=say, processes=processes)


def _prepare_one(job: tuple[Path, Path]) -> PhotoResult:
    return prepare_photo(*job)


def _decoded(build: Path, number: int) -> Path:
    return build / f"{number:07d}.jpg"


def _publish(build: Path, model_dir: Path, manifest: Manifest) -> None:
    """Move the folders into place. summary.json marks the folder as ours before, manifest.json as complete after."""
    (model_dir / PreparedFile.MANIFEST).unlink(missing_ok=True)
    (model_dir / PreparedFile.SUMMARY).touch()
    for name in FOLDERS:
        if (model_dir / name).exists():
            shutil.rmtree(model_dir / name)
        shutil.move(build / name, model_dir / name)
    manifest.save(model_dir)


def _report(manifest: Manifest) -> None:
    for word, remarks in (("left out", manifest.left_out), ("converted", manifest.converted)):
        for remark in remarks[:MOST_SHOWN]:
            say(f"{word}: {remark.path}: {remark.reason}")
        if len(remarks) > MOST_SHOWN:
            say(f"{word}: {len(remarks) - MOST_SHOWN:,} more, all in {PreparedFile.MANIFEST}")
    totals = ", ".join(f"{count:,} {split}" for split, count in manifest.totals.items())
    say(
        f"{len(manifest.counts)} classes, {totals} photos; {len(manifest.left_out):,} left out, "
        f"{len(manifest.converted):,} converted, {manifest.resized:,} made smaller"
    )
    _report_near_duplicates(manifest.near_duplicates)
    say(f"fingerprint {manifest.fingerprint}")


def _report_near_duplicates(found: NearDuplicates | None) -> None:
    if found is None:
        say(f"more than {MOST_PHOTOS:,} photos: not looked for any that stand in the set twice")
        return
    for (split, other), photos in sorted(found.leaked.items()):
        shown = ", ".join(photos[:MOST_SHOWN]) + (
            f" and {len(photos) - MOST_SHOWN:,} more" if photos[MOST_SHOWN:] else ""
        )
        noun = "photo is" if len(photos) == 1 else "photos are"
        say(f"{len(photos):,} {split} {noun} also in {other}, perhaps encoded anew, resized or cropped: {shown}")
    if found.count:
        say(
            f"{found.count:,} pair{'s' if found.count > 1 else ''} of nearly the same photo, {found.across:,} across "
            f"splits, {found.disagreeing:,} in two classes: see {PreparedFile.MANIFEST}"
        )


def _shard_photos(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: a whole number from 0 expected")
    return value


def _told(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full: the prepared photos and, of a zip, the unpacked ones need room, too"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}: the photos must be readable, and --model-dir a folder to write to"


def _stopped(signum: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return the exit status."""
    parser = argparse.ArgumentParser(description="Fetch photos and leave a data set to train on.")
    parser.add_argument("--source", default="toy", help=f"{KINDS} (default: toy)")
    mounted = os.environ.get(channel_variable(Channel.SOURCE))
    parser.add_argument(
        "--source-dir",
        type=Path,
        default=Path(mounted) if mounted else None,
        help=f"folder that the platform fetched --source into (default: ${channel_variable(Channel.SOURCE)})",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawn photos and of splits that are made here")
    parser.add_argument(
        "--model-dir",
        type=Path,
        default=os.environ.get("SM_MODEL_DIR"),
        required="SM_MODEL_DIR" not in os.environ,
        help="where to leave the data set (default: $SM_MODEL_DIR)",
    )
    parser.add_argument(
        "--shard-photos",
        type=_shard_photos,
        default=0,
        help="how many training and validation photos to put into one tar file; 0: every photo is a file (default)",
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stopped)  # so that a stopped job removes what it half made
    try:
        source = Source(options.source, options.source_dir)
        _report(prepare(source, options.model_dir, options.seed, shard_photos=options.shard_photos))
    except PhotosError as error:
        print(f"PhotosError: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that may not be read or written
        print(f"{type(error).__name__}: {_told(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
