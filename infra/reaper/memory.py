"""What the reaper remembers of an endpoint between two looks: one tag of it, gone when the endpoint is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

TAG: Final = "pedigree:idle"
_NEVER: Final = "-"


@dataclass(frozen=True)
class Memory:
    """Since when which configuration has been seen in service, and when its coming end was told."""

    config: str
    seen: datetime
    told: datetime | None = None

    @classmethod
    def parse(cls, value: str) -> "Memory | None":
        """Return what a tag's value says; None for a value that was not written here."""
        try:
            config, seen, told = value.split(" ")
            return cls(config, datetime.fromisoformat(seen), None if told == _NEVER else datetime.fromisoformat(told))
        except ValueError:
            return None

    def __str__(self) -> str:
        """Return the tag's value."""
        told = _NEVER if self.told is None else self.told.isoformat(timespec="seconds")
        return f"{self.config} {self.seen.isoformat(timespec='seconds')} {told}"
