"""The part on mistakes: the confusion matrix, the pairs that are confused most, and the photos themselves."""

from collections.abc import Sequence
from typing import Any, Final

from training.report.data import Prediction, ReportData
from training.report.matrix_chart import matrix_chart
from training.report.section import Section, percent, plural
from training.report.thumbnails import Thumbnails

# More classes than this do not fit a table on a screen: they get a chart, and the most confused ones a table.
LARGEST_TABLE: Final = 16
_MOST_PAIRS: Final = 10
_PHOTOS_PER_SIDE: Final = 2
_MOST_CONFIDENT: Final = 24
_MOST_UNSURE: Final = 12
_MOST_LISTED: Final = 500


def mistakes(data: ReportData, thumbnails: Thumbnails) -> Section:
    """Return the matrix, the pairs with their photos side by side, and the galleries."""
    pairs = _pairs(data)
    wrong = sorted(
        (each for each in data.predictions or () if not each.is_right), key=lambda each: (-each.probability, each.photo)
    )
    unsure = sorted(
        (each for each in data.predictions or () if each.is_right), key=lambda each: (each.probability, each.photo)
    )
    view = {
        "photos": sum(map(sum, data.confusion)),
        "count": sum(pair["count"] for pair in pairs),
        "pairs": [_with_photos(pair, data, thumbnails) for pair in pairs[:_MOST_PAIRS]],
        "all_pairs": pairs[:_MOST_LISTED],
        "unlisted": len(pairs[_MOST_LISTED:]),
        "confident": [_shown(each, data, thumbnails) for each in wrong[:_MOST_CONFIDENT]],
        "more_wrong": len(wrong[_MOST_CONFIDENT:]),
        "unsure": [_shown(each, data, thumbnails) for each in unsure[:_MOST_UNSURE]],
        "on_record": data.predictions is not None,
        **_matrix(data, pairs),
    }
    return Section("mistakes", "Mistakes on the test photos", "Mistakes", view)


def _pairs(data: ReportData) -> list[dict[str, Any]]:
    """Return every kind of mistake, most frequent first."""
    labels = data.labels
    pairs: list[dict[str, Any]] = [
        {"i": i, "j": j, "true": labels[i], "named": labels[j], "count": count, "of": sum(row)}
        for i, row in enumerate(data.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair["count"], -pair["count"] / pair["of"], pair["true"], pair["named"]))


def _with_photos(pair: dict[str, Any], data: ReportData, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return the pair with the photos that were mistaken, and some of the class that they were taken for."""
    made = data.predictions or ()
    mistaken = [each for each in made if (each.true, each.named) == (pair["i"], pair["j"])]
    known = [each for each in made if each.is_right and each.true == pair["j"]]
    return {
        **pair,
        "mistaken": [_shown(each, data, thumbnails) for each in _surest(mistaken)],
        "known": [_shown(each, data, thumbnails) for each in _surest(known)],
    }


def _surest(found: Sequence[Prediction]) -> list[Prediction]:
    return sorted(found, key=lambda each: (-each.probability, each.photo))[:_PHOTOS_PER_SIDE]


def _shown(each: Prediction, data: ReportData, thumbnails: Thumbnails) -> dict[str, Any]:
    """Return one photo as it stands on the page."""
    truth = each.probability_of_truth
    true, named = data.labels[each.true], data.labels[each.named]
    said = (
        f"named right with {percent(each.probability)}"
        if each.is_right
        else (f"taken for {named} with {percent(each.probability)}")
    )
    return {
        "image": thumbnails.of(each.photo),
        "alt": f"{true}, {said}",
        "file": each.photo,
        "true": true,
        "named": named,
        "right": each.is_right,
        "probability": each.probability,
        "truth": truth,
        "runner_up": data.labels[each.top[1][0]] if len(each.top) > 1 else None,
    }


def _matrix(data: ReportData, pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the matrix as a table of all classes or, of many, of those confused most, beside a chart of all."""
    classes = len(data.labels)
    if classes <= LARGEST_TABLE:
        return {"matrix": _table(data, range(classes)), "chart": ""}
    chosen: list[int] = []
    for pair in pairs:
        new = [index for index in (pair["i"], pair["j"]) if index not in chosen]
        if len(chosen) + len(new) > LARGEST_TABLE:
            break
        chosen += new
    chart, side, undrawn = matrix_chart(data.labels, data.confusion)
    alt = (
        f"Confusion matrix of {classes} classes, true ones by row, named ones by column: "
        f"{plural(len(pairs), 'kind')} of mistakes beside the diagonal of right answers. All stand in the table below."
    )
    drawn = {"chart": chart, "chart_side": side, "chart_alt": alt, "undrawn": undrawn}
    return {"matrix": _table(data, sorted(chosen)), **drawn}


def _table(data: ReportData, chosen: Sequence[int]) -> dict[str, Any] | None:
    if not chosen:
        return None
    rows = []
    for i in chosen:
        total = max(sum(data.confusion[i]), 1)
        cells = [
            {"count": data.confusion[i][j], "share": data.confusion[i][j] / total, "right": i == j} for j in chosen
        ]
        others = sum(data.confusion[i]) - sum(cell["count"] for cell in cells)
        rows.append({"label": data.labels[i], "cells": cells, "others": others})
    return {
        "labels": [data.labels[i] for i in chosen],
        "rows": rows,
        "is_whole": len(chosen) == len(data.labels),
    }
