"""The part on the data: classes, sizes, what was left out, and photos that stand in two splits at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contract.names import SPLITS
from training.report.data import ReportData
from training.report.section import Section, number
from training.report.thumbnails import Thumbnails

_MOST_REMARKS: Final = 200
_MOST_SHOWN: Final = 12
_UNKNOWN: Final = {
    "source": "an unknown source",
    "splits": "not known",
    "counts": {},
    "class_folders": [],
    "photos_left_out": [],
    "photos_converted": [],
}


def photos(data: ReportData, thumbnails: Thumbnails) -> Section:
    """Return the splits, the classes, the remarks of prepare.py and the near-duplicates."""
    manifest = {**_UNKNOWN, **data.manifest}
    rows = [_class(row, manifest["class_folders"]) for row in manifest["class_folders"]]
    totals = sorted(sum(row["counts"].values()) for row in rows)
    view = {
        "known": bool(data.manifest),
        "manifest": manifest,
        "photos": number(sum(manifest["counts"].values()) if manifest["counts"] else None),
        "splits": [{"name": split, "photos": manifest["counts"].get(split)} for split in SPLITS],
        "sizes": _sizes(manifest.get("image_sizes")),
        "classes": rows,
        "imbalance": totals[-1] / totals[0] if totals and totals[0] else None,
        "smallest": totals[0] if totals else None,
        "largest": totals[-1] if totals else None,
        "remarks": [
            ("left out", "Left out", manifest["photos_left_out"]),
            ("converted", "Converted and used", manifest["photos_converted"]),
        ],
        "most_remarks": _MOST_REMARKS,
        **_duplicates(manifest.get("near_duplicates"), manifest.get("near_duplicate_counts", {}), thumbnails),
    }
    return Section("photos", "The photos", "Photos", view)


def _class(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return label, counts and the counts' shares of all photos of the largest class, in percent."""
    largest = max(max(sum(each["counts"].values()) for each in rows), 1)
    shares = {split: count / largest * 100 for split, count in row["counts"].items()}
    return {"label": row["label"], "counts": row["counts"], "shares": shares}


def _sizes(found: Any) -> dict[str, Any]:
    """Return the columns and rows of what the manifest says of image sizes, by split; nothing where it is silent."""
    if not isinstance(found, Mapping) or not all(isinstance(row, Mapping) for row in found.values()):
        return {"columns": [], "rows": []}
    columns = list(dict.fromkeys(name for row in found.values() for name in row))
    rows = [{"split": split, "values": [row.get(name) for name in columns]} for split, row in found.items()]
    return {"columns": [name.replace("_", " ") for name in columns], "rows": rows}


def _duplicates(
    found: Sequence[Mapping[str, Any]] | None, counts: Mapping[str, int], thumbnails: Thumbnails
) -> dict[str, Any]:
    """Return the pairs, those across splits first, which tell a model what it is to be asked.

    ``counts`` are of all pairs that were found, where the manifest does not list every one.
    """
    pairs = [
        {**pair, "across": len(set(pair["splits"])) > 1, "disagree": len(set(pair["labels"])) > 1}
        for pair in found or ()
    ]
    pairs.sort(key=lambda pair: (not pair["across"], not pair["disagree"], pair["distance"], pair["photos"]))
    shown = [
        {
            **pair,
            "sides": [
                {"file": photo, "split": split, "label": label, "image": thumbnails.of(photo)}
                for photo, split, label in zip(pair["photos"], pair["splits"], pair["labels"], strict=True)
            ],
        }
        for pair in pairs[:_MOST_SHOWN]
    ]
    return {
        "searched": found is not None,
        "leaks": counts.get("across_splits", sum(pair["across"] for pair in pairs)),
        "disagreeing": counts.get("two_classes", sum(pair["disagree"] for pair in pairs)),
        "pairs": shown,
        "all_pairs": pairs[:_MOST_REMARKS],
        "count": counts.get("pairs", len(pairs)),
    }
