"""The decoded photos in their final places: each once, in its split and class, under a name of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from contract.names import SPLITS
from training.dataset_layout import Layout
from training.duplicates import NearDuplicates
from training.manifest import Manifest, Remark, fingerprint
from training.photo_file import PhotoResult
from training.splits import SHARE, UsablePhoto, check_usable, drop_duplicates, fill_missing_splits

# File systems take 255 bytes a name; this leaves room for a number and ".jpg".
_MAX_STEM_BYTES: Final = 200


@dataclass(frozen=True)
class Arrangement:
    """Where each usable photo goes, and what became of the others.

    Attributes:
        places: by the photo's number in the layout, its path below the prepared folder.
        sha256: by that path, of the prepared file.
        sizes: by that path, width and height of the photo as found.
        looks: by that path, what copies of the photo are found by.
        splits: how the splits came about, a sentence.
    """

    places: Mapping[int, str]
    sha256: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]
    looks: Mapping[str, bytes]
    splits: str
    left_out: tuple[Remark, ...]
    converted: tuple[Remark, ...]
    resized: int

    def manifest(
        self, source: str, seed: int, folders: Sequence[str], near_duplicates: NearDuplicates | None
    ) -> Manifest:
        """Return the manifest of the set; ``folders`` in the order of the model's outputs."""
        counts = {folder: dict.fromkeys(SPLITS, 0) for folder in folders}
        for place in self.places.values():
            split, folder, _ = place.split("/")
            counts[folder][split] += 1
        return Manifest(
            source=source,
            seed=seed,
            splits=self.splits,
            fingerprint=fingerprint(self.sha256),
            counts=counts,
            left_out=self.left_out,
            converted=self.converted,
            resized=self.resized,
            image_sizes=_spread(self.sizes),
            near_duplicates=near_duplicates,
        )


def arrange(layout: Layout, results: Sequence[PhotoResult], seed: int) -> Arrangement:
    """Return the arrangement of ``layout.photos``, whose decoding gave ``results`` (same order).

    Raises:
        PhotosError: a class without usable photos, or too few of them to make the splits that are missing.
    """
    reasons = dict(layout.left_out)
    candidates = []
    for number, ((split, photo), result) in enumerate(zip(layout.photos_by_split, results, strict=True)):
        if result.left_out is None:
            candidates.append(UsablePhoto(number, photo.name, photo.folder, split, result.source_sha256))
        else:
            reasons[photo.name] = result.left_out
    usable, duplicates = drop_duplicates(candidates)
    reasons |= dict(duplicates)
    check_usable(layout.file_counts, usable, reasons)
    missing = [split for split in SPLITS if split not in layout.splits]
    if missing:
        usable = fill_missing_splits(usable, missing, seed)
    places = _places(usable)
    used = [(photo, results[photo.number]) for photo in usable]
    return Arrangement(
        places=places,
        sha256={places[photo.number]: result.sha256 for photo, result in used},
        sizes={places[photo.number]: result.size for photo, result in used},
        looks={places[photo.number]: result.look for photo, result in used},
        splits=_how(missing),
        left_out=tuple(Remark(name, reason) for name, reason in sorted(reasons.items())),
        converted=tuple(Remark(photo.name, result.converted) for photo, result in used if result.converted),
        resized=sum(result.resized for _, result in used),
    )


def _spread(sizes: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, str]]:
    """Return, by split, the sizes of the photos with the fewest, the most and the middle number of pixels."""
    spread = {}
    for split in SPLITS:
        found = sorted((w * h, w, h) for place, (w, h) in sizes.items() if place.startswith(f"{split}/"))
        chosen = {"smallest": found[0], "median": found[len(found) // 2], "largest": found[-1]}
        spread[split] = {name: f"{width} x {height}" for name, (_, width, height) in chosen.items()}
    return spread


def _how(missing: Sequence[str]) -> str:
    if not missing:
        return "as the source has them"
    return (
        f"{' and '.join(missing)} taken from {'train' if len(missing) == 1 else 'all photos'}, {SHARE:.0%} of every "
        "class each, drawn with the seed: the source has none"
    )


def _places(photos: Sequence[UsablePhoto]) -> dict[int, str]:
    """Name the photos after their files; where two would clash, even on a file system blind to case, number them."""
    places: dict[int, str] = {}
    taken: set[str] = set()
    for photo in photos:
        stem = PurePosixPath(photo.name).stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore")
        place, count = f"{photo.split}/{photo.folder}/{stem}.jpg", 1
        while place.casefold() in taken:
            count += 1
            place = f"{photo.split}/{photo.folder}/{stem}-{count}.jpg"
        taken.add(place.casefold())
        places[photo.number] = place
    return places
