"""A checkout of its own and real photos: what every test of the whole job starts from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.checkout import ROOT, Checkout, copy_checkout

DOGS = ROOT.parent / "shared" / "data" / "dogs"
SPLITS = {"train": 14, "valid": 4, "test": 4}
CLASSES = 3


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = copy_checkout(tmp_path_factory.mktemp("checkout") / "pedigree")
    yield made
    for process in made.processes():  # only where a test failed
        process.kill()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real dogs, with four files as they occur in real folders."""
    if not DOGS.is_dir():
        pytest.skip(f"no photos at {DOGS}")
    root = tmp_path_factory.mktemp("photos") / "dogs"
    for split, count in SPLITS.items():
        for folder in sorted((DOGS / split).iterdir())[:CLASSES]:
            (root / split / folder.name).mkdir(parents=True)
            for photo in sorted(folder.iterdir())[:count]:
                shutil.copy(photo, root / split / folder.name)
    first = sorted((root / "train").iterdir())[0]
    whole = sorted(first.glob("*.jpg"))
    (first / "notes.jpg").write_text("not a photo")
    (first / "empty.jpg").touch()
    (first / "cut.jpg").write_bytes(whole[0].read_bytes()[:2000])
    with Image.open(whole[1]) as image:
        image.rotate(3).convert("CMYK").save(first / "print.jpg")
    return root
