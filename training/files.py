"""Writing files so that no reader ever sees half of one."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` under a temporary name first, then rename; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
