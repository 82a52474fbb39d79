"""Where things stand on this disk: the checkout and its build folder."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# What the synthesized template and its assets are made of.
_SOURCES: Final = (
    "app.py",
    "cdk.json",
    "package-lock.json",
    "pyproject.toml",
    "requirements.txt",
    "container",
    "contract",
    "infra",
    "serving",
    "training",
    "vision",
)
_NO_SOURCE: Final = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")


@dataclass(frozen=True)
class Project:
    """One checkout of Pedigree."""

    root: Path

    @classmethod
    def here(cls) -> "Project":
        """Return the checkout that this console belongs to."""
        return cls(Path(__file__).resolve().parent.parent)

    @property
    def build(self) -> Path:
        """The folder for everything made here; safe to delete, except for the trained models in it."""
        return self.root / "build"

    @property
    def local_cloud(self) -> Path:
        """The local cloud's state."""
        return self.build / "local-cloud"

    @property
    def run(self) -> Path:
        """What the last run left."""
        return self.build / "run"

    def cdk(self, stage: str) -> Path:
        """What was synthesized and deployed for one stage."""
        return self.build / "cdk" / stage

    @property
    def cdk_cli(self) -> Path:
        """The CDK CLI that package.json pins."""
        return self.root / "node_modules" / ".bin" / "cdk"

    @property
    def programs(self) -> Path:
        """The bin folder of the running virtual environment; unresolved, since a link leads out of it."""
        return Path(sys.executable).parent

    def sources_fingerprint(self, *settings: str) -> str:
        """Return a hash over every source file of the CDK app and over ``settings``."""
        digest = hashlib.sha256("\0".join((sys.version, *settings)).encode())
        for path in self._sources():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"\0{path.relative_to(self.root).as_posix()}\0{content}".encode())
        return digest.hexdigest()

    def _sources(self) -> Iterator[Path]:
        for name in _SOURCES:
            path = self.root / name
            if path.is_file():
                yield path
            for inner in sorted(path.rglob("*")) if path.is_dir() else ():
                if inner.is_file() and not any(part in _NO_SOURCE for part in inner.parts):
                    yield inner
