"""Which photo is trained on, which is validated and which is tested; and whether the splits can be used at all."""

import random
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from contract.classes import Classes
from contract.names import SPLITS
from training.dataset_layout import SPLIT_NAMES
from training.errors import PhotosError

# Of a class's photos, each split that a set lacks gets this share, and at least one photo.
SHARE: Final = 0.1
# A photo found in several splits stays where it is worth most: a test photo must never have been trained on.
_KEEP: Final = ("test", "valid", "train")
_ADD: Final = "add JPEG, PNG or WebP photos of the class, or remove the folder from every split"


@dataclass(frozen=True)
class UsablePhoto:
    """A decoded photo in its place; ``sha256`` is of the file as it was found, ``number`` finds it again."""

    number: int
    name: str
    folder: str
    split: str
    sha256: str


def drop_duplicates(photos: Sequence[UsablePhoto]) -> tuple[list[UsablePhoto], list[tuple[str, str]]]:
    """Return the photos with each one once, and (name, reason) of those left out.

    The same file under two classes is left out everywhere: one of its labels is wrong, and nobody knows which.
    """
    groups: dict[str, list[UsablePhoto]] = defaultdict(list)
    for photo in photos:
        groups[photo.sha256].append(photo)
    kept: list[UsablePhoto] = []
    left_out: list[tuple[str, str]] = []
    for group in groups.values():
        first, *others = sorted(group, key=lambda photo: (_KEEP.index(photo.split), photo.number))
        if len({photo.folder for photo in group}) > 1:
            folders = " and ".join(sorted({photo.folder for photo in group}))
            left_out += [(p.name, f"the same photo stands in {folders}: one of the labels is wrong") for p in group]
        else:
            kept.append(first)
            left_out += [(photo.name, f"the same photo as {first.name}") for photo in others]
    return sorted(kept, key=lambda photo: photo.number), left_out


def fill_missing_splits(photos: Sequence[UsablePhoto], missing: Sequence[str], seed: int) -> list[UsablePhoto]:
    """Return the photos with ``missing`` splits taken from train: of every class a share of SHARE, at least one photo.

    The same photos and seed give the same splits, whatever the files are called.

    Raises:
        PhotosError: a class has too few photos for all splits.
    """
    by_folder: dict[str, list[UsablePhoto]] = defaultdict(list)
    for photo in photos:
        by_folder[photo.folder].append(photo)
    result: list[UsablePhoto] = []
    for folder, members in sorted(by_folder.items()):
        pool = sorted((photo for photo in members if photo.split == "train"), key=lambda photo: photo.sha256)
        if len(pool) <= len(missing):
            raise PhotosError(
                f"class folder {folder} holds {len(pool)} usable photo{'' if len(pool) == 1 else 's'} to train on: at "
                f"least {len(missing) + 1} are needed, so that train, {' and '.join(missing)} get one each; "
                "add photos or remove the folder"
            )
        random.Random(f"{seed}:{folder}").shuffle(pool)
        each = max(1, round(SHARE * len(members)))
        each = min(each, (len(pool) - 1) // len(missing))
        for index, split in enumerate(missing):
            result += [replace(photo, split=split) for photo in pool[index * each : (index + 1) * each]]
        result += pool[len(missing) * each :]
        result += [photo for photo in members if photo.split != "train"]
    return sorted(result, key=lambda photo: photo.number)


def check_folders(found: Mapping[str, Mapping[str, int]], left_out: Mapping[str, str]) -> tuple[str, ...]:
    """Return the class folders in the order of the model's outputs, before any photo is decoded.

    Args:
        found: per split that the set came with, how many files each class folder holds.
        left_out: names of the files that do not count, and why.

    Raises:
        PhotosError: fewer than two classes; a class that one split has and another lacks, or a class folder without
            photos; class folders that read the same.
    """
    train = sorted(found["train"])
    for split in (split for split in SPLITS if split in found):
        lacking = sorted(set(train) - set(found[split]))
        unknown = sorted(set(found[split]) - set(train))
        if lacking:
            raise PhotosError(
                f"split {split} lacks the class folder{'s' if len(lacking) > 1 else ''} {_some(lacking)}, which train "
                f"has: add photos to {split}/{lacking[0]} or remove train/{lacking[0]}"
            )
        if unknown:
            raise PhotosError(
                f"split {split} has the class folder{'s' if len(unknown) > 1 else ''} {_some(unknown)}, which train "
                f"lacks: add photos to train/{unknown[0]} or remove {split}/{unknown[0]}"
            )
        for folder in train:
            if found[split][folder] == 0:
                where, example = _where(split, folder, found), _example(split, folder, left_out)
                raise PhotosError(f"class folder {where} holds no photos{example}: {_ADD}")
    if len(train) < 2:
        raise PhotosError(f"the only class folder is {train[0]}: a classifier needs at least 2 classes")
    try:
        return Classes(tuple(train)).folders
    except ValueError as error:
        raise PhotosError(str(error)) from error


def check_usable(
    found: Mapping[str, Mapping[str, int]], usable: Iterable[UsablePhoto], left_out: Mapping[str, str]
) -> None:
    """Refuse a set in which a class folder's photos all had to be left out; ``left_out`` maps names to reasons.

    Raises:
        PhotosError: with the first photo's reason.
    """
    present = {(photo.split, photo.folder) for photo in usable}
    for split, folders in found.items():
        for folder in sorted(folders):
            if (split, folder) not in present:
                where = _where(split, folder, found)
                raise PhotosError(
                    f"class folder {where} holds no usable photos{_example(split, folder, left_out)}: {_ADD}"
                )


def _example(split: str, folder: str, left_out: Mapping[str, str]) -> str:
    """Return the first file of a class folder that was left out, with its reason, in parentheses; "" without one."""
    for name, reason in sorted(left_out.items()):
        first, *others = unicodedata.normalize("NFC", name).split("/")
        if first == folder or (SPLIT_NAMES.get(first.lower()) == split and others[:1] == [folder]):
            return f" ({name}: {reason})"
    return ""


def _where(split: str, folder: str, found: Mapping[str, Mapping[str, int]]) -> str:
    return f"{split}/{folder}" if len(found) > 1 else folder


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
