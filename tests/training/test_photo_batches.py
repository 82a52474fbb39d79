import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.photo_batches import photo_batches, photo_shares
from training.photo_set import PhotoReader, PhotoSet, open_photo_set
from vision.pixels import Pixels


@pytest.fixture
def photos(prepared: Path) -> PhotoSet:
    return open_photo_set(prepared)


def number_as_view(number: int, image: Pixels) -> Tensor:
    return torch.full((1, 3, 2, 2), float(number))


def test_photos_come_in_their_order(photos: PhotoSet) -> None:
    train = photos.splits["train"]
    batches = list(photo_batches(train, PhotoReader(photos.directory), number_as_view, 5))
    assert [len(batch.labels) for batch in batches] == [5, 5, 5, 1]
    assert torch.cat([batch.views[:, 0, 0, 0, 0] for batch in batches]).tolist() == list(range(16))
    assert torch.cat([batch.labels for batch in batches]).tolist() == [photo.label for photo in train]


def test_a_broken_photo_is_missing_and_the_others_keep_their_numbers(photos: PhotoSet) -> None:
    train = photos.splits["train"]
    train[2].path.write_bytes(b"broken")
    logged: list[str] = []
    batches = list(photo_batches(train, PhotoReader(photos.directory, logged.append), number_as_view, 16))
    assert batches[0].views[:, 0, 0, 0, 0].tolist() == [number for number in range(16) if number != 2]
    assert len(logged) == 1


def test_a_broken_photo_leaves_a_gap_in_its_share_and_moves_no_other(photos: PhotoSet) -> None:
    train = photos.splits["train"]
    for number in (2, 5):
        train[number].path.write_bytes(b"broken")
    shares = [[7, 2, 0], [5], [], [3, 1]]
    found = list(photo_shares(train, shares, PhotoReader(photos.directory), number_as_view))
    numbers = [[] if batch is None else batch.views[:, 0, 0, 0, 0].tolist() for batch, _ in found]
    assert numbers == [[7, 0], [], [], [3, 1]]
    assert [positions for _, positions in found] == [[0, 2], [], [], [0, 1]]


def test_an_error_of_the_transform_reaches_the_caller(photos: PhotoSet) -> None:
    def fail(number: int, image: Pixels) -> Tensor:
        raise RuntimeError("a mistake in the code")

    with pytest.raises(RuntimeError, match="a mistake in the code"):
        list(photo_batches(photos.splits["train"], PhotoReader(photos.directory), fail, 4))


def test_threads_that_decode_use_one_core_each_and_leave_the_others_theirs(photos: PhotoSet) -> None:
    before = torch.get_num_threads()
    found: set[int] = set()

    def note(number: int, photo: Pixels) -> Tensor:
        found.add(torch.get_num_threads())
        return torch.zeros(1, 3, 2, 2)

    list(photo_batches(photos.splits["train"], PhotoReader(photos.directory), note, 4))
    assert found == {1}
    assert torch.get_num_threads() == before


def test_a_consumer_that_stops_early_leaves_no_thread(photos: PhotoSet) -> None:
    batches = photo_batches(list(photos.splits["train"]) * 20, PhotoReader(photos.directory), number_as_view, 2)
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]  # it is a generator
    names = [str(thread.name) for thread in threading.enumerate()]  # smdebug names a thread by something else than text
    assert not [name for name in names if name.startswith("photos")]
