"""The confusion matrix of many classes as a chart: every cell that holds a photo, every class named."""

from collections.abc import Sequence
from typing import Final

from training.report import svg
from training.report.charts import shortened

# A row is as high as its name in print of 7.5 points needs.
_ROW_INCHES: Final = 0.128
_FONT_SIZE: Final = 7.5
_MARGIN_INCHES: Final = 2.0
# A page with more marks than this is slow to scroll; the rarest mistakes are left out, and counted.
MOST_MISTAKES: Final = 3000


def matrix_chart(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[str, int, int]:
    """Return the chart, how many pixels wide its names can be read, and how many cells of mistakes it does without.

    Right answers are squares on the diagonal, mistakes are circles: colour says nothing that shape does not.
    """
    cells = sorted(
        ((count / max(sum(row), 1), i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) if count),
        reverse=True,
    )
    right = [cell for cell in cells if cell[1] == cell[2]]
    wrong = [cell for cell in cells if cell[1] != cell[2]]
    with svg.style("matrix"):
        side = _MARGIN_INCHES + _ROW_INCHES * len(labels)
        figure, axes = svg.figure((side, side))
        largest = (_ROW_INCHES * 72) ** 2 * 0.8  # points squared
        for marked, marker, colour in ((right, "s", svg.TRAIN), (wrong[:MOST_MISTAKES], "o", svg.BAD)):
            axes.scatter(
                [j for _, _, j in marked],
                [i for _, i, _ in marked],
                s=[largest * (0.25 + 0.75 * share) for share, _, _ in marked],
                marker=marker,
                color=colour,
                linewidths=0,
                alpha=0.85,
            )
        names = [shortened(label) for label in labels]
        axes.set_xticks(range(len(labels)), names, rotation=90, fontsize=_FONT_SIZE)
        axes.set_yticks(range(len(labels)), names, fontsize=_FONT_SIZE)
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axes.set_xlim(-0.7, len(labels) - 0.3)
        axes.set_ylim(len(labels) - 0.3, -0.7)
        axes.grid(linewidth=0.3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return svg.svg(figure, "matrix"), round(side * svg.DPI), len(wrong[MOST_MISTAKES:])
