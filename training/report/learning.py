"""The part on how the model learned."""

import math
from collections.abc import Sequence
from typing import Final

from training.history import Epoch
from training.report.charts import learning_curve
from training.report.data import ReportData
from training.report.section import Section, number, percent

_SIGNS: Final = {
    "good fit": ("✓", "good"),
    "overfitting": ("↗", "warn"),
    "underfitting": ("↘", "warn"),
    "too short to say": ("…", "soft"),
    "diverged": ("✕", "bad"),
}
_UNKNOWN_SIGN: Final = ("?", "soft")


def learning(data: ReportData) -> Section:
    """Return verdict, curves and their numbers."""
    verdict = data.metrics["verdict"]
    sign, tone = _SIGNS.get(verdict["kind"], _UNKNOWN_SIGN)
    curves = [
        {"name": what, "chart": learning_curve(data.history, what), "alt": _said(data.history, what)}
        for what in ("loss", "accuracy")
        if data.history
    ]
    view = {"verdict": verdict, "sign": sign, "tone": tone, "curves": curves, "history": data.history}
    return Section("learning", "How it learned", "Learning", view)


def _said(history: Sequence[Epoch], what: str) -> str:
    """Return the curve in words, for who cannot see it."""
    write = percent if what == "accuracy" else number
    ends = [
        f"{word} {what} goes from {write(getattr(history[0], field))} to {write(getattr(history[-1], field))}"
        for word, field in (("training", f"train_{what}"), ("validation", f"valid_{what}"))
    ]
    best = _best(history, what)
    extreme = "" if best is None else f"; best validation {what} in epoch {best.epoch}"
    return f"Line chart over {len(history)} epochs: {ends[0]}, {ends[1]}{extreme}."


def _best(history: Sequence[Epoch], what: str) -> Epoch | None:
    if what == "accuracy":
        return max(history, key=lambda epoch: epoch.valid_accuracy)
    finite = [epoch for epoch in history if math.isfinite(epoch.valid_loss)]
    return min(finite, key=lambda epoch: epoch.valid_loss, default=None)
