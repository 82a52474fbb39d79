import random

import pytest
import torch

from training.mixing import Mixing, partners

PHOTOS = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16)  # each photo is its number everywhere
LABELS = torch.tensor([0, 1, 2, 2])
OTHER = torch.tensor([1, 0, 3, 2])


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_targets_follow_what_is_in_the_photos(mixup: float, cutmix: float) -> None:
    rng = random.Random(0)
    numbers = torch.tensor([0.0, 1.0, 2.5])  # a photo of class 2 is number 2 or 3
    for _ in range(50):
        photos, targets = Mixing(mixup, cutmix, 3).mixed(PHOTOS, LABELS, OTHER, rng)
        assert photos.shape == PHOTOS.shape
        assert torch.allclose(targets.sum(dim=1), torch.ones(4))
        assert torch.allclose(photos.mean(dim=(1, 2, 3)), targets @ numbers, atol=0.51)
    assert torch.equal(PHOTOS[1], torch.ones(3, 16, 16))  # the batch itself is left alone


def test_mixup_blends_and_cutmix_pastes() -> None:
    rng = random.Random(1)
    blended, _ = Mixing(0.4, 0, 3).mixed(PHOTOS, LABELS, OTHER, rng)
    assert all(float(photo.max() - photo.min()) < 1e-6 for photo in blended)
    pasted, _ = Mixing(0, 1.0, 3).mixed(PHOTOS, LABELS, OTHER, rng)
    assert set(pasted.flatten().tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_the_same_lots_blend_the_same() -> None:
    one, again = (Mixing(0.4, 1.0, 3).mixed(PHOTOS, LABELS, OTHER, random.Random(5))[0] for _ in range(2))
    assert torch.equal(one, again)


def test_a_single_photo_stays_what_it_is() -> None:
    photos, targets = Mixing(0.4, 0, 3).mixed(PHOTOS[:1], LABELS[:1], torch.tensor([0]), random.Random(0))
    assert torch.equal(photos, PHOTOS[:1])
    assert torch.allclose(targets, torch.tensor([[1.0, 0.0, 0.0]]))


def test_neighbours_are_partners_and_who_lost_its_own_stays_alone() -> None:
    assert partners([0, 1, 2, 3]) == [1, 0, 3, 2]
    assert partners([0, 1, 2, 3, 4]) == [1, 0, 3, 2, 4]
    assert partners([1, 2, 3, 4]) == [0, 2, 1, 3]
    assert partners([]) == []
