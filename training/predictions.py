"""predictions.json: what the model said of each test photo, for the report and for whoever looks at its mistakes."""

import json
from pathlib import Path
from typing import Any, Final

import torch

from contract.inference import TOP_K
from training.evaluation import Evaluation
from training.files import write_text

# A probability of one in a million is shown as none at all.
_DIGITS: Final = 6


def predictions(evaluation: Evaluation, root: Path) -> list[dict[str, Any]]:
    """Return a row per photo: its path within ``root``, its true class and the most probable ones, best first.

    Probabilities are those that serving answers.

    Raises:
        ValueError: the evaluation does not know its photos.
    """
    if len(evaluation.photos) != len(evaluation.labels):
        raise ValueError(f"{len(evaluation.labels)} answers, but {len(evaluation.photos)} photos that they are about")
    classes = evaluation.logits.shape[1]
    best, numbers = torch.topk(evaluation.probabilities, min(TOP_K, classes), dim=1)  # (N, k), (N, k)
    return [
        {
            "photo": photo.path.relative_to(root).as_posix(),
            "true": photo.label,
            "top": [[number, round(share, _DIGITS)] for number, share in zip(row, shares, strict=True)],
        }
        for photo, row, shares in zip(evaluation.photos, numbers.tolist(), best.tolist(), strict=True)
    ]


def save_predictions(path: Path, evaluation: Evaluation, root: Path) -> None:
    """Write predictions.json, one photo per line."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in predictions(evaluation, root))
    write_text(path, f"[{rows}]\n")
