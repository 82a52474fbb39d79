"""manifest.json and summary.json: what prepare.py did to a data set, for people, reports and later jobs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contract.classes import label_of
from contract.names import SPLITS, PreparedFile
from training.duplicates import NearDuplicates
from training.files import write_text

VERSION: Final = 1


@dataclass(frozen=True)
class Remark:
    """What happened to one photo, by its path in the source."""

    path: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A prepared data set.

    Attributes:
        source: where the photos came from, without secrets.
        splits: how the splits came about, a sentence.
        fingerprint: of the prepared photos, see ``fingerprint``.
        counts: photos per class folder and split, class folders in the order of the model's outputs.
        resized: photos made smaller, which is not worth a line each.
        image_sizes: per split, what is to be said of its photos' sizes as found, by name; empty: unknown.
        near_duplicates: photos that stand in the set twice; None: not looked for.
    """

    source: str
    seed: int
    splits: str
    fingerprint: str
    counts: Mapping[str, Mapping[str, int]]
    left_out: tuple[Remark, ...]
    converted: tuple[Remark, ...]
    resized: int
    image_sizes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    near_duplicates: NearDuplicates | None = None

    @property
    def totals(self) -> dict[str, int]:
        """Photos per split."""
        return {split: sum(count[split] for count in self.counts.values()) for split in SPLITS}

    def summary(self) -> dict[str, Any]:
        """Return what summary.json holds: few fields, because the state machine carries them on."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "classes": len(self.counts),
            "counts": self.totals,
            "left_out": len(self.left_out),
            "converted": len(self.converted),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return what manifest.json holds: the summary's fields and one entry per class and reported photo."""
        return {
            "version": VERSION,
            **self.summary(),
            "seed": self.seed,
            "splits": self.splits,
            "resized": self.resized,
            "class_folders": [
                {"folder": folder, "label": label_of(folder), "counts": dict(count)}
                for folder, count in self.counts.items()
            ],
            "photos_left_out": [{"path": remark.path, "reason": remark.reason} for remark in self.left_out],
            "photos_converted": [{"path": remark.path, "reason": remark.reason} for remark in self.converted],
            "image_sizes": {split: dict(sizes) for split, sizes in self.image_sizes.items()},
            **(self.near_duplicates.as_dict() if self.near_duplicates else {}),
        }

    def save(self, folder: Path) -> None:
        """Write summary.json and then manifest.json, whose presence says that the folder is complete."""
        write_text(folder / PreparedFile.SUMMARY, json.dumps(self.summary(), indent=1, ensure_ascii=False))
        write_text(folder / PreparedFile.MANIFEST, json.dumps(self.as_dict(), indent=1, ensure_ascii=False))


def fingerprint(photos: Mapping[str, str]) -> str:
    """Return the sha256 over the sorted (path, sha256 of the file) of the prepared photos.

    Two sources with the same photos in the same splits and classes have the same fingerprint.
    """
    digest = hashlib.sha256()
    for path, sha256 in sorted(photos.items()):
        digest.update(f"{path}\0{sha256}\n".encode())
    return digest.hexdigest()
