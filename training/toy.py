"""The toy data set: drawn dogs of eight invented breeds, for a first run that needs no download.

python -m training.toy some/folder
"""

import io
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.toy_breeds import BREEDS
from training.toy_dog import draw_dog
from training.toy_pen import Frame
from training.toy_scene import draw_scene, draw_shadow, draw_toys, light
from training.workers import map_in_processes

# Per breed; ten test photos of each make one mistake 1.25 % of the whole test set.
PHOTOS: Final = {"train": 40, "valid": 10, "test": 10}
# Everything is drawn this much larger and then made smaller, which smooths the edges.
_SUPERSAMPLING: Final = 2


@dataclass(frozen=True)
class ToyPhoto:
    """One photo of the set: which breed, which split, which number, of which seed."""

    breed: int
    split: str
    number: int
    seed: int

    @property
    def place(self) -> str:
        """Its path below the set's folder."""
        name = BREEDS[self.breed].name
        return f"{self.split}/{self.breed + 1:03d}.{name}/{name}_{self.number:05d}.jpg"


def toy_photos(seed: int) -> list[ToyPhoto]:
    """Return all photos of the set drawn with ``seed``."""
    photos = []
    for breed in range(len(BREEDS)):
        number = 0
        for split, count in PHOTOS.items():
            for _ in range(count):
                number += 1
                photos.append(ToyPhoto(breed, split, number, seed))
    return photos


def draw_photo(photo: ToyPhoto) -> bytes:
    """Return the photo as a JPEG; the same photo gives the same bytes."""
    rng = random.Random(f"{photo.seed}:{photo.breed}:{photo.number}")
    breed = BREEDS[photo.breed]
    width, height = rng.choice(((320, 240), (300, 300), (240, 320), (288, 256), (360, 270)))
    size = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
    horizon = rng.uniform(0.45, 0.7)
    picture = draw_scene(rng, size, horizon)
    draw_toys(rng, picture, horizon)
    # The whole dog from tail to nose and ears is about length + 2 body heights wide and leg + 2.4 high.
    fitting = min(size[0] / (breed.length + 2.0), size[1] / (breed.leg + 2.4))
    unit = fitting * rng.uniform(0.55, 1.2)
    feet = (size[0] * rng.uniform(0.4, 0.6), min(size[1] * 0.99, size[1] * rng.uniform(0.88, 0.97)))
    frame = Frame(feet, unit, rng.uniform(-0.12, 0.12), rng.random() < 0.5)
    draw_shadow(picture, feet, unit * (breed.length / 2 + 0.5), unit * 0.16)
    draw_dog(picture, rng, breed, frame, line=max(2, round(unit / 45)))
    lit = light(rng, picture.reduce(_SUPERSAMPLING))
    buffer = io.BytesIO()
    lit.save(buffer, "JPEG", quality=rng.randint(68, 94))
    return buffer.getvalue()


def draw_data_set(folder: Path, seed: int, say: Callable[[str], None], processes: int | None = None) -> None:
    """Write the whole set below ``folder``, which is made: {train,valid,test}/NNN.Breed/*.jpg."""
    photos = toy_photos(seed)
    for place in {(folder / photo.place).parent for photo in photos}:
        place.mkdir(parents=True, exist_ok=True)
    jobs = [(photo, folder / photo.place) for photo in photos]
    map_in_processes(_write, jobs, what="toy photos drawn", say=say, processes=processes)


def _write(job: tuple[ToyPhoto, Path]) -> None:
    photo, path = job
    path.write_bytes(draw_photo(photo))


if __name__ == "__main__":
    draw_data_set(Path(sys.argv[1]), seed=0, say=print)
