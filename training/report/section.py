"""One part of the page, and how its numbers are written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: of its template, and its id on the page.
        title: its heading.
        short: its name in the list of contents.
        view: what the template shows.
    """

    name: str
    title: str
    short: str
    view: Mapping[str, Any] = field(default_factory=dict)


def percent(value: float | None) -> str:
    """Return a share as people write it, in percent."""
    return "not known" if value is None or not math.isfinite(value) else f"{value:.1%}"


def number(value: float | int | str | None) -> str:
    """Return a number as people write it; anything else as it is."""
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "not a number"
    return f"{value:,}" if isinstance(value, int) else value


def short(value: str) -> str:
    """Return a hyperparameter's value with at most four significant digits; what is no number stays as it is."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def byte_size(value: float | None) -> str:
    """Return a number of bytes in the unit that leaves one to three digits before the point."""
    if value is None:
        return "not known"
    for unit in ("B", "KB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def seconds(value: float | None) -> str:
    """Return a duration."""
    if value is None:
        return "not known"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    if value < 100:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def plural(count: int, one: str, many: str = "") -> str:
    """Return "1 photo", "2 photos"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
