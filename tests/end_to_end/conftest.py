"""A checkout of its own and real photos: what every test of the whole job starts from."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.checkout import IS_ON_AWS, ON_AWS, AwsCheckout, Checkout, Finished, Up, copy_checkout
from tests.real_photos import DOGS
from training.toy import draw_photo, toy_photos

SPLITS = {"train": 14, "valid": 4, "test": 4}
CLASSES = 3


def drawn(root: Path) -> Path:
    """Return a folder with the first classes of the toy set, as many photos as are needed."""
    photos = [photo for photo in toy_photos(seed=0) if photo.breed < CLASSES]
    for breed, (split, count) in itertools.product(range(CLASSES), SPLITS.items()):
        for photo in [p for p in photos if (p.breed, p.split) == (breed, split)][:count]:
            target = root / photo.place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(draw_photo(photo))
    return root


def pytest_runtest_setup(item: pytest.Item) -> None:
    """On AWS, leave out what cannot be tried there: marked so, or with a local cloud of its own."""
    if not IS_ON_AWS:
        return
    marker = item.get_closest_marker("laptop_only")
    if marker is not None:
        pytest.skip(f"on the laptop only: {marker.args[0]}")
    if "checkout" not in getattr(item, "fixturenames", ()):
        pytest.skip("on the laptop only: starts a local cloud of its own")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Where the console runs: a copy on the laptop, or the copy that `make test-aws` made, deployed and deletes."""
    if IS_ON_AWS:
        given = json.loads(os.environ[ON_AWS])
        yield AwsCheckout(Path(given["root"]), stage=given["stage"])
        return
    made = copy_checkout(tmp_path_factory.mktemp("checkout") / "pedigree")
    yield made
    for process in made.processes():  # only where a test failed
        process.kill()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few dogs, real ones where there are some, with four files as they occur in real folders."""
    source = DOGS if DOGS.is_dir() else drawn(tmp_path_factory.mktemp("drawn"))
    root = tmp_path_factory.mktemp("photos") / "dogs"
    for split, count in SPLITS.items():
        for folder in sorted((source / split).iterdir())[:CLASSES]:
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


@pytest.fixture(scope="session")
def finished(checkout: Checkout, photos: Path) -> Finished:
    """The whole job, run once for all tests that look at what it left."""
    done = checkout.pedigree("run", "--data", photos, "--trials", "2", "--epochs", "1")
    summary = checkout.root / "build" / "run" / "summary.json"
    said = json.loads(summary.read_text("utf-8")) if summary.is_file() else {}
    return Finished(checkout, done.returncode, done.stdout, said)


@pytest.fixture(scope="module")
def up(finished: Finished) -> Iterator[Up]:
    """Serve its model again."""
    assert finished.code == 0, finished.output
    with finished.checkout.serving() as variables:
        yield Up(finished.checkout, variables)
