"""classes.json: the class folders in the order of the model's outputs, and the labels that people read."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

_NUMBERED = re.compile(r"\A\d{1,6}\.(?=.)")


def label_of(folder: str) -> str:
    """Return what a person reads for a class folder: ``001.Border_collie`` -> ``Border collie``."""
    return _NUMBERED.sub("", folder, count=1).replace("_", " ").strip()


@dataclass(frozen=True)
class Classes:
    """The classes of one model; ``folders[i]`` belongs to output i."""

    folders: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what no classifier can be trained on or told apart by its users."""
        if len(self.folders) < 2:
            raise ValueError(f"a classifier needs at least 2 classes, got {list(self.folders)}")
        labels = self.labels
        if "" in labels:
            raise ValueError(f"the class folder {self.folders[labels.index('')]!r} reads as no name at all: rename it")
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"several class folders read as {', '.join(twice)}: rename them")

    @property
    def labels(self) -> tuple[str, ...]:
        """The readable names, in the order of the outputs."""
        return tuple(label_of(folder) for folder in self.folders)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.folders)

    def save(self, path: Path) -> None:
        """Write classes.json."""
        path.write_text(json.dumps({"folders": self.folders, "labels": self.labels}, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Classes":
        """Read classes.json."""
        return cls(tuple(json.loads(path.read_text(encoding="utf-8"))["folders"]))
