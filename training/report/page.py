"""The page: its parts in their order, and what stands above them."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from training.files import write_text
from training.progress import say
from training.report import section
from training.report.calibration import calibration
from training.report.classes import classes
from training.report.data import ReportData
from training.report.findings import findings
from training.report.learning import learning
from training.report.mistakes import mistakes
from training.report.photos import photos
from training.report.profile import profile
from training.report.reproduce import reproduce
from training.report.section import Section
from training.report.thumbnails import Thumbnails
from training.report.trials import trials

_TEMPLATES: Final = Path(__file__).with_name("templates")
# What files of another shape than expected make of a part. A training of hours does not fail for its report.
UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_FILTERS: Final = (
    section.percent,
    section.number,
    section.short,
    section.byte_size,
    section.seconds,
    section.plural,
)


def write_report(path: Path, data: ReportData) -> None:
    """Write the page to ``path``; it appears there complete or not at all.

    A part that cannot be made of what the training left says so in its place, and in the log.
    """
    write_text(path, render(data))


def render(data: ReportData) -> str:
    """Return the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader(_TEMPLATES, encoding="utf-8"),
    )
    environment.filters |= {each.__name__: each for each in _FILTERS}

    def body(made: Section) -> str:
        return environment.get_template(f"{made.name}.html.j2").render(made.view)

    parts = [_part(name, make, body) for name, make in _makers(data)]
    text = environment.get_template("page.html.j2").render(
        {**_head(data), "parts": parts, "style": _style(), "titles": [made for made, _ in parts]}
    )
    return re.sub(r"\n\s*\n", "\n", text)


def _makers(data: ReportData) -> tuple[tuple[str, Callable[[], Section]], ...]:
    thumbnails = Thumbnails(data.photos)
    return (
        ("learning", lambda: learning(data)),
        ("findings", lambda: findings(data)),
        ("mistakes", lambda: mistakes(data, thumbnails)),
        ("classes", lambda: classes(data)),
        ("calibration", lambda: calibration(data)),
        ("trials", lambda: trials(data)),
        ("profile", lambda: profile(data)),
        ("photos", lambda: photos(data, thumbnails)),
        ("reproduce", lambda: reproduce(data)),
    )


def _part(name: str, make: Callable[[], Section], body: Callable[[Section], str]) -> tuple[Section, str]:
    from jinja2 import UndefinedError  # where a template meets what it does not know

    try:
        made = make()
        return made, body(made)
    except (*UNREADABLE, UndefinedError) as error:
        say(f"the report does without its part {name!r}: {error!r}")
        missing = Section("missing", name.capitalize(), name.capitalize(), {"reason": repr(error)})
        return Section(name, missing.title, missing.short), body(missing)


def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


def _head(data: ReportData) -> dict[str, Any]:
    """Return what stands above the parts: the one figure that matters, and what must be known to read it."""
    metrics = data.metrics
    counts = data.manifest.get("counts", {})
    test = metrics["test_accuracy"]
    by_test = test is not None and math.isfinite(test)
    notices = [metrics["notice"]] if metrics.get("notice") else []
    if metrics.get("photos_left_out"):
        notices.append(f"Left out because they could not be decoded: {', '.join(metrics['photos_left_out'])}.")
    split, word = ("test", "test") if by_test else ("valid", "validation")
    return {
        "headline": test if by_test else metrics["valid_accuracy"],
        "of": f"{section.number(counts[split]) if split in counts else 'the'} {word} photos",
        "backbone": metrics["backbone"],
        "classes": len(data.labels),
        "source": data.manifest.get("source", "an unknown source"),
        "created": data.created,
        "notices": [notice[:1].upper() + notice[1:] for notice in notices],
        "tiles": (
            ("Test accuracy", section.percent(test)),
            ("Validation accuracy", section.percent(metrics["valid_accuracy"])),
            ("Photos", section.number(sum(counts.values()) if counts else None)),
            ("Classes", section.number(len(data.labels))),
            ("Backbone", metrics["backbone"]),
        ),
    }
