"""A small photo of each class, for people who are shown what a model knows: examples/<output>.jpg and classes.json.

Test and validation photos are for measuring; the example is a training photo. Which one: of those that are large enough
and of an ordinary shape the most typical, by its look (training/duplicates.py), which is there already. The look says
where in a photo it is light and where dark, more than what is to be seen. So this finds a subject where most photos of
the class have theirs, and passes over collages and odd crops; it knows nothing of breeds.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from contract.classes import Classes
from contract.names import ArtifactFile
from training.duplicates import WHOLE_BYTES
from vision.photos import read_photo

# Shown at half of it on a screen with twice the pixels.
LONG_SIDE: Final = 320
MOST_BYTES: Final = 25_000
# What backbones see. A photo that is smaller has to be enlarged even for them.
_ROOMY: Final = 224
# 4:3, and a little for what was cropped by hand.
_MOST_ASPECT: Final = 1.4
# Tried in turn until a photo has at most MOST_BYTES. Nearly all have at the first; pure noise has at the last.
_QUALITIES: Final = (80, 60, 40, 20, 10)
_TRAIN: Final = "train"


def save_examples(
    target: Path,
    prepared: Path,
    folders: Sequence[str],
    sizes: Mapping[str, tuple[int, int]],
    looks: Mapping[str, bytes],
) -> None:
    """Write the example of each class, and classes.json, into the new folder ``target``.

    Args:
        target: made; holds the examples.
        prepared: what photos' paths are relative to. They are files, not yet in shards.
        folders: the class folders, in the order of the model's outputs.
        sizes: by path, width and height of each photo as found.
        looks: by path, the look of each photo, see training/duplicates.py.
    """
    photos: dict[str, list[str]] = {folder: [] for folder in folders}
    for place in sizes:
        split, folder, _ = place.split("/")
        if split == _TRAIN:
            photos[folder].append(place)
    target.mkdir()
    for output, folder in enumerate(folders):
        chosen = choose(photos[folder], sizes, looks)
        (target / f"{output}.jpg").write_bytes(small_photo((prepared / chosen).read_bytes()))
    Classes(tuple(folders)).save(target / ArtifactFile.CLASSES)


def choose(photos: Sequence[str], sizes: Mapping[str, tuple[int, int]], looks: Mapping[str, bytes]) -> str:
    """Return the photo that stands for its class; the same photos in any order give the same one.

    Args:
        photos: the paths of the class's photos, at least one.
        sizes: by path, width and height.
        looks: by path, the look; empty where the photo is one colour.
    """
    every = sorted(photos)
    ordinary = [photo for photo in every if max(sizes[photo]) <= _MOST_ASPECT * min(sizes[photo])]
    roomy = [photo for photo in ordinary if min(sizes[photo]) >= _ROOMY]
    candidates = roomy or ordinary or every
    seen = [photo for photo in candidates if looks[photo]]
    if not seen:
        return candidates[0]
    looked = np.frombuffer(b"".join(looks[photo][:WHOLE_BYTES] for photo in seen), np.uint8)
    bits = np.unpackbits(looked.reshape(len(seen), WHOLE_BYTES), axis=1)  # (photos, bits)
    set_in = bits.sum(axis=0, dtype=np.int64)  # (bits,): in how many photos each one is set
    # In how many bits a photo differs from all others together: whole numbers, so that every machine finds the same.
    differing = np.where(bits, len(seen) - set_in, set_in).sum(axis=1)  # (photos,)
    return seen[int(differing.argmin())]


def small_photo(data: bytes) -> bytes:
    """Return a photo as an upright RGB JPEG of at most LONG_SIDE pixels and MOST_BYTES, of its pixels alone.

    What cameras write beside the pixels, such as the place, is not in it.

    Raises:
        PhotoError: ``data`` is no photo.
    """
    image = read_photo(data).image
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()
