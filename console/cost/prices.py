"""prices.json: what AWS asks, each price with where and when it was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from console.errors import ConsoleError
from console.files import read_json

PRICES_FILE: Final = "prices.json"


@dataclass(frozen=True)
class Source:
    """Where prices were found."""

    page: str
    date: str
    note: str


class PriceTable:
    """Prices by name; those that are missing are known to be missing."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._used: set[str] = set()
        self._missing: set[str] = set()

    @classmethod
    def load(cls, root: Path) -> "PriceTable":
        """Return the table of a checkout.

        Raises:
            ConsoleError: it is missing or damaged.
        """
        content = read_json(root / PRICES_FILE)
        if not isinstance(content, dict):
            raise ConsoleError(f"{root / PRICES_FILE} is missing or no JSON.")
        return cls(content)

    @property
    def region(self) -> str:
        """Where these prices hold."""
        return str(self._content["region"])

    @property
    def pricing_page(self) -> str:
        """Where AWS publishes them."""
        return str(self._content["pricing_page"])

    def instance_hour(self, instance_type: str) -> float | None:
        """Return what an instance costs an hour on demand, or None for a type that the table does not have."""
        found = self._content["instance_hours"].get(instance_type)
        if found is None:
            self._missing.add(instance_type)
            return None
        return self._price(found)

    def other(self, name: str) -> float:
        """Return one of the other prices, for one unit."""
        return self._price(self._content["others"][name])

    def missing(self) -> list[str]:
        """Return the instance types that were asked for and not found."""
        return sorted(self._missing)

    def sources(self) -> list[Source]:
        """Return where the prices that were asked for were found."""
        return [Source(**self._content["sources"][name]) for name in self._content["sources"] if name in self._used]

    def _price(self, entry: Mapping[str, Any]) -> float:
        self._used.add(entry["source"])
        return float(entry["usd"])
