"""The table of roles, statements and what fails without them, in docs/security.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN = "<!-- roles:begin -->"
END = "<!-- roles:end -->"
_HEAD = ("role", "statement", "allows", "without it")


@dataclass(frozen=True)
class Row:
    """One statement and what was found; ``problem`` is empty where all is well."""

    role: str
    sid: str
    allows: str
    without: str
    problem: str = ""


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    lines += [_line([row.role, row.sid, row.allows, row.without]) for row in rows]
    return "\n".join(lines)


def write(page: Path, rows: Sequence[Row]) -> None:
    """Put the table between the page's markers.

    Raises:
        ValueError: the page has no markers.
    """
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page}: the table belongs between {BEGIN} and {END}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{markdown(rows)}\n\n{END}{after}", "utf-8")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
