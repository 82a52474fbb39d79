"""Photos that stand in a data set more than once: encoded anew, resized, lightened, darkened or slightly cropped.

The look of a photo is the signs of its lowest frequencies against their median (a perceptual hash): 255 bits of the
whole photo, and as many of nine slight crops. Two photos are near duplicates where at most MOST_DIFFERING bits of the
two differ, or of one and a crop of the other. Copies byte for byte were left out before (training/splits.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.classes import label_of
from contract.names import SPLITS

# Of 255. Measured on 906 photos of 10 breeds (docs/decisions/0011-near-duplicates.md): copies at JPEG quality 40,
# half the size, or both differ in 16 at most, two different photos in 70 at least; drawn ones of the toy set in 54.
MOST_DIFFERING: Final = 48
# A slightly cropped copy differs in no more from the whole photo; of different photos one pair in 300 differs in less.
_WORTH_CROPPING: Final = 104
# Flatter than this (standard deviation of the brightness, of 255), there are no frequencies, only noise.
_FLAT: Final = 2.0
_SIDE: Final = 64
_FREQUENCIES: Final = 16
# What a crop keeps of the thumbnail's rows and columns, 6 % less: at a corner, at an edge, around the middle.
_ALL, _FIRST, _LAST, _MIDDLE = slice(0, 64), slice(0, 60), slice(4, 64), slice(2, 62)
_CROPS: Final = (
    *((_FIRST, _FIRST), (_FIRST, _LAST), (_LAST, _FIRST), (_LAST, _LAST)),
    *((_FIRST, _ALL), (_LAST, _ALL), (_ALL, _FIRST), (_ALL, _LAST)),
    (_MIDDLE, _MIDDLE),
)
_VERSIONS: Final = 1 + len(_CROPS)
_WORDS: Final = _FREQUENCIES * _FREQUENCIES // 64
WHOLE_BYTES: Final = _WORDS * 8  # of the whole photo, first in a look
LOOK_BYTES: Final = _VERSIONS * WHOLE_BYTES
# Pairs compared at once: 32 MiB of 64-bit words.
_AT_ONCE: Final = 1 << 22
# Pairs whose crops are compared at once.
_CROPS_AT_ONCE: Final = 1 << 16
# The time grows with the square: 8,351 photos take about a second, so many take minutes.
MOST_PHOTOS: Final = 100_000
MOST_PAIRS: Final = 500

Words = NDArray[np.uint64]


def _cosines(size: int) -> NDArray[np.float32]:
    """Return the first rows of the cosine transform of ``size`` points: (_FREQUENCIES, size)."""
    frequencies, points = np.arange(_FREQUENCIES)[:, None], np.arange(size)[None]
    return np.cos(np.pi * frequencies * (2 * points + 1) / (2 * size)).astype(np.float32)


_COSINES: Final = {size: _cosines(size) for size in (60, 64)}


def look_of(image: Image.Image) -> bytes:
    """Return the look of a photo, LOOK_BYTES long; empty where the photo is one colour and so looks like nothing."""
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float32)  # (_SIDE, _SIDE)
    if grey.std() < _FLAT:
        return b""
    parts = [grey, *(grey[crop] for crop in _CROPS)]
    waves = np.stack([_COSINES[part.shape[0]] @ part @ _COSINES[part.shape[1]].T for part in parts])
    waves = waves.reshape(_VERSIONS, -1)  # (versions, frequencies squared)
    waves[:, 0] = -np.inf  # the mean brightness, which says nothing of what is to be seen: always 0
    return np.packbits(waves > np.median(waves[:, 1:], axis=1, keepdims=True), axis=1).tobytes()


@dataclass(frozen=True)
class Pair:
    """Two photos that look the same, by their paths below the prepared folder; ``distance`` in bits of 255."""

    photos: tuple[str, str]
    distance: int
    identical: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of manifest.json."""
        places = [photo.split("/") for photo in self.photos]
        return {
            "photos": list(self.photos),
            "splits": [split for split, _, _ in places],
            "labels": [label_of(folder) for _, folder, _ in places],
            "identical": self.identical,
            "distance": self.distance,
        }


@dataclass(frozen=True)
class NearDuplicates:
    """What a search found.

    Attributes:
        pairs: at most MOST_PAIRS, those across splits first.
        count: of all pairs.
        across: of those whose photos stand in two splits.
        disagreeing: of those whose photos stand in two classes.
        leaked: by (split, another one that is worth less), the first one's photos that are also in the other.
    """

    pairs: tuple[Pair, ...] = ()
    count: int = 0
    across: int = 0
    disagreeing: int = 0
    leaked: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields of manifest.json."""
        counts = {"pairs": self.count, "across_splits": self.across, "two_classes": self.disagreeing}
        return {"near_duplicates": [pair.as_dict() for pair in self.pairs], "near_duplicate_counts": counts}


def find_near_duplicates(looks: Mapping[str, bytes], prepared: Path) -> NearDuplicates | None:
    """Return the pairs of photos that look the same; None: there are more than MOST_PHOTOS, too many to compare.

    Args:
        looks: by the photos' paths below ``prepared``.
        prepared: where the pixels of pairs that look exactly the same are compared.
    """
    if len(looks) > MOST_PHOTOS:
        return None
    places = sorted(place for place, look in looks.items() if look)
    if len(places) < 2:
        return NearDuplicates()
    words = np.frombuffer(b"".join(looks[place] for place in places), np.uint64)
    splits = np.array([SPLITS.index(place.split("/")[0]) for place in places])
    folders = np.array([place.split("/")[1] for place in places])
    count = across = disagreeing = 0
    leaking: list[Pair] = []
    others: list[Pair] = []
    leaked = np.zeros((len(SPLITS), len(places)), np.bool_)  # (the split that is worth less, photos)
    for one, other, distance in _close(words.reshape(len(places), _VERSIONS, _WORDS)):
        leaks = splits[one] != splits[other]
        count, across = count + len(one), across + int(leaks.sum())
        disagreeing += int((folders[one] != folders[other]).sum())
        for chosen, kept in ((leaks, leaking), (~leaks, others)):
            for k in np.flatnonzero(chosen)[: MOST_PAIRS - len(kept)]:
                kept.append(Pair((places[one[k]], places[other[k]]), int(distance[k])))
        later = np.where(splits[one] > splits[other], one, other)[leaks]
        leaked[np.minimum(splits[one], splits[other])[leaks], later] = True
    pairs = tuple(_looked_at(pair, prepared) for pair in (leaking + others)[:MOST_PAIRS])
    return NearDuplicates(pairs, count, across, disagreeing, _by_splits(leaked, places))


def _by_splits(leaked: NDArray[np.bool_], places: Sequence[str]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], list[str]] = {}
    for earlier, photo in zip(*np.nonzero(leaked), strict=True):
        place = places[photo]
        found.setdefault((place.split("/")[0], SPLITS[earlier]), []).append(place)
    return {splits: tuple(photos) for splits, photos in found.items()}


def _looked_at(pair: Pair, prepared: Path) -> Pair:
    if pair.distance:
        return pair
    with Image.open(prepared / pair.photos[0]) as one, Image.open(prepared / pair.photos[1]) as other:
        same = one.size == other.size and one.convert("RGB").tobytes() == other.convert("RGB").tobytes()
    return Pair(pair.photos, pair.distance, same)


def _close(words: Words) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint8]]]:
    """Yield (one, other, differing bits) of all pairs that look the same, one < other, a block of rows at a time.

    Args:
        words: (photos, _VERSIONS, _WORDS), the whole photo first.
    """
    whole = np.ascontiguousarray(words[:, 0].T)  # (_WORDS, photos)
    photos = whole.shape[1]
    rows = max(1, _AT_ONCE // photos)
    for start in range(0, photos - 1, rows):
        block = whole[:, start : start + rows]
        bits = np.zeros((block.shape[1], photos - start), np.uint8)  # 255 fits
        for ours, theirs in zip(block, whole[:, start:], strict=True):
            bits += np.bitwise_count(ours[:, None] ^ theirs[None])
        one, other = np.nonzero(bits <= _WORTH_CROPPING)
        one, other = one[other > one], other[other > one]
        distance = bits[one, other]
        one, other = one + start, other + start
        apart = np.flatnonzero(distance > MOST_DIFFERING)
        for some in np.split(apart, range(_CROPS_AT_ONCE, len(apart), _CROPS_AT_ONCE)):
            distance[some] = _as_crops(words[one[some]], words[other[some]])
        near = distance <= MOST_DIFFERING
        yield one[near], other[near], distance[near]


def _as_crops(one: Words, other: Words) -> NDArray[np.uint8]:
    """Return the fewest bits in which a crop of one photo differs from the other, whole one.

    Args:
        one: (pairs, versions, words).
        other: the same.
    """

    def fewest(crops: Words, whole: Words) -> NDArray[np.uint8]:
        differing = np.bitwise_count(crops[:, 1:] ^ whole[:, :1]).sum(axis=2, dtype=np.uint8)  # (pairs, crops)
        least: NDArray[np.uint8] = np.min(differing, axis=1)
        return least

    return np.minimum(fewest(one, other), fewest(other, one))
