"""What one local cloud is started with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
HOST: Final = "127.0.0.1"


class LocalCloudError(Exception):
    """The local cloud cannot start or go on; the message says what to do."""


@dataclass(frozen=True)
class Settings:
    """Where a local cloud keeps its state, where it listens, and which images its jobs may name."""

    state: Path
    port: int
    api_port: int
    images: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could only fail later.

        Raises:
            LocalCloudError: both ports are the same, or an image's folder lacks ``train`` or ``serve``.
        """
        if self.port == self.api_port:
            raise LocalCloudError(f"--port and --api-port are both {self.port}: choose two different ports")
        for name, folder in self.images.items():
            missing = [verb for verb in ("train", "serve") if not (folder / verb).is_file()]
            if missing:
                raise LocalCloudError(
                    f"--image {name}={folder}: no {' and no '.join(missing)} there; an image is a folder that holds "
                    "the executables train and serve (in this project: the virtual environment's bin folder)"
                )

    @property
    def endpoint(self) -> str:
        """The URL that every AWS client is pointed at."""
        return f"https://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        """The short address of the newest deployed REST API."""
        return f"http://localhost:{self.api_port}"


def parse_image(text: str) -> tuple[str, Path]:
    """Return name and folder of ``NAME=BIN_DIR``.

    Raises:
        ValueError: there is no ``=``, or nothing on one side of it.
    """
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise ValueError(f"{text!r}: NAME=BIN_DIR expected, for example pedigree:laptop=.venv/bin")
    return name, Path(folder).expanduser().resolve()
