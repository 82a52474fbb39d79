"""Rules that look at labels and predictions: which classes are learned too rarely, and which taken for each other."""

import math
from collections import deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contract.findings import Finding, Severity
from training.rules.base import TensorRule, Trial
from training.saved_tensors import LABELS, PREDICTIONS

Counts = NDArray[np.int64]
# A condition of validations must last: single epochs of a small validation set swing by a photo or two.
PATIENCE: Final = 3
# Of a class with fewer validation photos a share says next to nothing.
FEWEST_PHOTOS: Final = 5
# 95 % confidence.
Z: Final = 1.96
# A model that is wrong more often than right confuses everything: other rules say why.
LEARNED: Final = 0.5
# So many classes or pairs are named in the evidence.
NAMED: Final = 3


def confusion_matrix(labels: NDArray[Any], predictions: NDArray[Any], classes: int) -> Counts:
    """Return how many photos, by [true class][predicted class]."""
    matrix: Counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (labels.astype(np.int64), predictions.astype(np.int64)), 1)
    return matrix


def share_bounds(count: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share: what ``count`` of ``of`` photos say of all photos."""
    share, spread = count / of, Z**2 / of
    middle, half = share + spread / 2, Z * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return (middle - half) / (1 + spread), (middle + half) / (1 + spread)


class _ClassRule(TensorRule):
    """Reads pairs of labels and predictions."""

    _argmax = False

    def _pairs(self, step: int, labels: str, predictions: str) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return labels (N,) and predicted classes (N,) of a step; None where one of them is missing."""
        said, true = self._first(predictions, PREDICTIONS, step), self._first(labels, LABELS, step)
        if said is None or true is None:
            return None
        if self._argmax and said.ndim == 2:
            said = said.argmax(axis=1)
        true, said = true.reshape(-1), said.reshape(-1)
        return (true, said) if len(true) == len(said) and len(true) else None

    def _class(self, number: int) -> str:
        return self.class_labels[number] if number < len(self.class_labels) else f"class {number}"

    def _first(self, regex: str, collection: str, step: int) -> NDArray[Any] | None:
        names = self.names(collection, step, regex)
        return self.value(names[0], step) if names else None


class ClassImbalance(_ClassRule):
    """Some classes are learned from far fewer photos than others, or a rare class is mostly answered wrong.

    The labels of the saved training batches are a sample of what is learned. With many classes chance alone leaves some
    class with few of 500 labels: a class counts as rare if it is by more than chance. That a rare class is
    mostly wrong must last for three validations; AWS's rule says so of every class, and at the first step.

    Args:
        base_trial: the trial.
        threshold_imbalance: the largest class has this many times the photos of the smallest.
        threshold_misprediction: share of a rare class's validation photos that are answered wrong.
        samples: labels to see before anything is said.
        argmax: predictions are probabilities (N, classes), not classes (N,).
        labels_regex: name of the labels.
        predictions_regex: name of the predictions.
    """

    def __init__(
        self,
        base_trial: Trial,
        threshold_imbalance: float = 10.0,
        threshold_misprediction: float = 0.7,
        samples: int = 500,
        argmax: bool = False,
        labels_regex: str = ".*labels",
        predictions_regex: str = ".*predictions",
    ) -> None:
        super().__init__(base_trial)
        self._imbalance, self._misprediction = threshold_imbalance, threshold_misprediction
        self._samples, self._argmax = samples, argmax
        self._labels_regex, self._predictions_regex = labels_regex, predictions_regex
        self._counts: Counts = np.zeros(0, dtype=np.int64)
        self._validations: deque[Counts] = deque(maxlen=PATIENCE)

    def look(self, step: int) -> Finding | None:
        """Count, and compare."""
        labels = self._first(self._labels_regex, LABELS, step)
        if labels is None or not labels.size:
            return None
        self._make_room(1 + int(labels.max()))
        if self.is_training(step):
            self._counts += np.bincount(labels.reshape(-1).astype(np.int64), minlength=len(self._counts))
        elif (pairs := self._pairs(step, self._labels_regex, self._predictions_regex)) is not None:
            self._make_room(1 + int(pairs[1].max()))
            self._validations.append(confusion_matrix(*pairs, len(self._counts)))
        if self._counts.sum() < self._samples:
            return None
        return self._imbalanced(step) or self._mispredicted(step)

    def _make_room(self, classes: int) -> None:
        if classes > len(self._counts):
            self._counts = np.pad(self._counts, (0, classes - len(self._counts)))
            self._validations.clear()  # of fewer classes

    def _imbalanced(self, step: int) -> Finding | None:
        smallest, largest = int(self._counts.argmin()), int(self._counts.argmax())
        few, many = int(self._counts[smallest]), int(self._counts[largest])
        # The most photos that the smallest class may have had in truth: two deviations, and 3 where none was seen.
        if many / (few + 2 * math.sqrt(few) + 3) <= self._imbalance:
            return None
        return self._finding(
            step,
            f"Of {int(self._counts.sum()):,} labels learned so far, {self._class(largest)} had {many:,} and "
            f"{self._class(smallest)} {few:,}; {self._imbalance:g} times as many is expected at most.",
        )

    def _mispredicted(self, step: int) -> Finding | None:
        if self.is_training(step) or len(self._validations) < PATIENCE:
            return None
        rare = self._counts + 2 * np.sqrt(self._counts) < self._counts.mean() / 2
        bad = [number for number in np.flatnonzero(rare) if all(self._wrong(m, number) for m in self._validations)]
        if not bad:
            return None
        matrix = self._validations[-1]
        named = ", ".join(
            f"{matrix[number].sum() - matrix[number, number]} of {matrix[number].sum()} of {self._class(number)} "
            f"({self._counts[number]:,} labels learned, {self._counts.mean():,.0f} on average)"
            for number in bad[:NAMED]
        )
        return self._finding(step, f"Validation photos answered wrong: {named}.")

    def _wrong(self, matrix: Counts, number: int) -> bool:
        photos = int(matrix[number].sum())
        return photos >= FEWEST_PHOTOS and 1 - matrix[number, number] / photos > self._misprediction

    def _finding(self, step: int, evidence: str) -> Finding:
        return self.found(
            step,
            Severity.WARNING,
            evidence,
            "What is learned from little is answered rarely: a good accuracy over all photos may hide that such "
            "classes are hardly ever named.",
            "Let every class count the same in the loss (class_balance), or add photos of the rare classes.",
        )


class Confusion(_ClassRule):
    """Validation photos of one class are systematically taken for another, or hardly ever named right.

    Both shares are of a true class's photos, and must be out of bounds with 95 % confidence in three validations. AWS's
    bounds, 0.9 and 0.1 of single photos, fire on every validation set with six photos per class (the 133 breeds) as
    soon as one of them is answered wrong; as documented, the first is even a share of all right answers. Classes with
    fewer than five validation photos are passed over: one photo that is always answered wrong is no confusion.

    Args:
        base_trial: the trial.
        category_no: number of classes; None: as many as are seen.
        labels: name of the true classes.
        predictions: name of the predicted classes.
        labels_collection: where to look for them.
        predictions_collection: where to look for these.
        min_diag: least share of a class's photos that are named right (AWS: 0.9).
        max_off_diag: greatest share of a class's photos that are taken for one other class (AWS: 0.1).
    """

    def __init__(
        self,
        base_trial: Trial,
        category_no: int | None = None,
        labels: str = "labels",
        predictions: str = "predictions",
        labels_collection: str = LABELS,
        predictions_collection: str = PREDICTIONS,
        min_diag: float = 0.5,
        max_off_diag: float = 0.2,
    ) -> None:
        super().__init__(base_trial)
        self._classes = category_no or 0
        self._labels, self._predictions = labels, predictions
        self._collections = (labels_collection, predictions_collection)
        self._min_diag, self._max_off_diag = min_diag, max_off_diag
        self._latest: deque[Counts] = deque(maxlen=PATIENCE)

    def look(self, step: int) -> Finding | None:
        """Compare the latest validations."""
        pairs = None if self.is_training(step) else self._pairs(step, f"^{self._labels}$", f"^{self._predictions}$")
        if pairs is None:
            return None
        self._classes = max(self._classes, 1 + int(max(pairs[0].max(), pairs[1].max())))
        self._latest.append(confusion_matrix(*pairs, self._classes))
        same_size = all(len(matrix) == self._classes for matrix in self._latest)
        if len(self._latest) < PATIENCE or not same_size or not all(map(_has_learned, self._latest)):
            return None
        off = set.intersection(*(self._confused(matrix) for matrix in self._latest))
        poor = set.intersection(*(self._rarely_right(matrix) for matrix in self._latest)) - {true for true, _ in off}
        return self._finding(step, off, poor) if off or poor else None

    def _confused(self, matrix: Counts) -> set[tuple[int, int]]:
        """Return the pairs (true, predicted) of classes that are confused beyond chance."""
        return {
            (int(true), int(said))
            for true, said in np.argwhere(matrix)
            if true != said
            and matrix[true].sum() >= FEWEST_PHOTOS
            and share_bounds(int(matrix[true, said]), int(matrix[true].sum()))[0] > self._max_off_diag
        }

    def _rarely_right(self, matrix: Counts) -> set[int]:
        photos = matrix.sum(axis=1)
        return {
            int(true)
            for true in np.flatnonzero(photos >= FEWEST_PHOTOS)
            if share_bounds(int(matrix[true, true]), int(photos[true]))[1] < self._min_diag
        }

    def _finding(self, step: int, off: set[tuple[int, int]], poor: set[int]) -> Finding:
        matrix = self._latest[-1]
        pairs = sorted(off, key=lambda pair: -int(matrix[pair]))
        said = [
            f"{matrix[t, s]} of {matrix[t].sum()} of {self._class(t)} were taken for {self._class(s)}" for t, s in pairs
        ]
        said += [f"{matrix[t, t]} of {matrix[t].sum()} of {self._class(t)} were named right" for t in sorted(poor)]
        more = f", and so on for {len(said) - NAMED} more" if len(said) > NAMED else ""
        return self.found(
            step,
            Severity.WARNING,
            f"Validation photos in {PATIENCE} validations in a row, at last: {', '.join(said[:NAMED])}{more}.",
            "The model cannot tell these classes apart, or training and validation photos are not labelled alike.",
            "Look at both classes' photos: are the folders swapped, or the same thing under two names? Else add photos "
            "that show the difference, or a higher test_resolution if it is small.",
        )


def _has_learned(matrix: Counts) -> bool:
    return bool(np.trace(matrix) >= LEARNED * matrix.sum())
