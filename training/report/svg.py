"""matplotlib figures as SVG that takes its colours from the page, so that they can be read in light, dark and print."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# matplotlib knows no CSS variables: it draws in these colours, which are replaced afterwards.
INK: Final = "#0a0001"
GRID: Final = "#0a0002"
TRAIN: Final = "#0a0003"
VALID: Final = "#0a0004"
ACCENT: Final = "#0a0005"
BAD: Final = "#0a0006"
_VARIABLES: Final = {INK: "ink", GRID: "grid", TRAIN: "train", VALID: "valid", ACCENT: "accent", BAD: "bad"}
DPI: Final = 72
WIDE: Final = (10.0, 3.1)  # inches of 72 pixels; the page scales them
HALF: Final = (5.0, 3.1)
SMALL: Final = (3.4, 2.6)
_FONT_SIZE: Final = 10.5


@contextmanager
def style(name: str) -> "Iterator[None]":
    """Draw in the page's colours; ``name`` makes a chart's ids its own, and the same in every run."""
    import matplotlib as mpl

    settings: Any = {  # matplotlib types the keys as literals
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": _FONT_SIZE,
        "text.color": INK,
        "text.parse_math": False,  # names are no formulas
        "axes.edgecolor": GRID,
        "axes.labelcolor": INK,
        "xtick.color": GRID,
        "ytick.color": GRID,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.alpha": 0.5,
        "grid.linewidth": 0.6,
        "lines.linewidth": 2,
    }
    with mpl.rc_context(settings):
        yield


def figure(size: tuple[float, float], rows: int = 1) -> "tuple[Figure, Any]":
    """Return an empty figure and its axes, or an array of them, one above the other, for several ``rows``."""
    from matplotlib.figure import Figure

    made = Figure(figsize=size, layout="constrained")
    made.patch.set_alpha(0)
    axes = made.subplots(rows, sharex=True)
    for each in made.axes:
        each.patch.set_alpha(0)
    return made, axes


def svg(made: "Figure", name: str) -> str:
    """Return the figure as an element for a page: no header, ids of its own, colours of the page, no fixed size."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text: the browser draws class names in any script, with fonts that matplotlib does not have.
        warnings.filterwarnings("ignore", "(?s)Glyph .* missing from font", UserWarning)
        made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    # Its style would be the whole page's; what of it matters stands in style.css.
    text = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
    head, rest = text.split(">", 1)
    text = re.sub(r' (?:width|height)="[^"]*"', "", head) + ">" + rest
    prefix = re.sub(r"\W", "-", name)
    text = re.sub(r'(\bid="|"#|url\(#)', rf"\1{prefix}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def share(value: float, _: float = 0) -> str:
    """Return an axis label that tells neighbouring ticks apart however close they are."""
    return f"{value * 100:.4g}%"
