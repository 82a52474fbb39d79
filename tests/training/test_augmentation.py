import random

import pytest
import torch
from PIL import Image

from training.augmentation import PixelChanges, augmented, photo_rng, random_box
from vision.preprocessing import Preprocessing

SPEC = Preprocessing(36, 32, (0, 0, 0), (1, 1, 1), "bilinear")


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (1000, 10), (1, 1), (5, 4000)])
def test_the_box_lies_within_the_photo(size: tuple[int, int]) -> None:
    rng = random.Random(0)
    for _ in range(200):
        left, top, right, bottom = random_box(*size, rng)
        assert 0 <= left < right <= size[0] + 1e-9
        assert 0 <= top < bottom <= size[1] + 1e-9


def test_at_least_half_of_an_ordinary_photo_is_kept_in_shape() -> None:
    rng = random.Random(0)
    for _ in range(200):
        left, top, right, bottom = random_box(400, 400, rng)
        assert 0.49 <= (right - left) * (bottom - top) / 160_000 <= 1
        assert 0.7 <= (right - left) / (bottom - top) <= 1.4


def test_half_of_the_views_are_mirrored() -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste((255, 255, 255), (48, 0, 64, 64))
    rng = random.Random(0)
    views = torch.stack([augmented(image, SPEC, rng) for _ in range(200)])
    white_left = (views[:, 0, :, 0].mean(dim=1) > views[:, 0, :, -1].mean(dim=1)).float().mean()
    assert 0.35 < white_left < 0.65


def test_a_photo_gets_the_same_view_again_after_a_restart() -> None:
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    again = augmented(image, SPEC, photo_rng(1, 2, 3))
    assert torch.equal(augmented(image, SPEC, photo_rng(1, 2, 3)), again)
    assert not torch.equal(augmented(image, SPEC, photo_rng(1, 3, 3)), again)


def test_every_change_of_randaugment_leaves_a_view_within_the_range_of_colours() -> None:
    view = SPEC.apply(Image.effect_noise((64, 64), 80).convert("RGB"))
    seen = [PixelChanges(randaugment=30).apply(view, SPEC, random.Random(seed)) for seed in range(60)]
    assert all(changed.shape == view.shape for changed in seen)
    assert all(float(changed.min()) >= 0 and float(changed.max()) <= 1 for changed in seen)
    assert sum(not torch.allclose(changed, view, atol=1 / 255) for changed in seen) > 50


def test_a_larger_magnitude_changes_more() -> None:
    view = SPEC.apply(Image.radial_gradient("L").resize((64, 64)).convert("RGB"))

    def change(magnitude: int) -> float:
        changes = PixelChanges(randaugment=magnitude)
        return sum(float((changes.apply(view, SPEC, random.Random(s)) - view).abs().mean()) for s in range(40))

    assert change(2) < change(30)


def test_erasing_blanks_a_box_as_often_as_asked() -> None:
    view = torch.ones(3, 32, 32)
    shares = [
        float((PixelChanges(random_erasing=0.5).apply(view, SPEC, random.Random(seed)) == 0).float().mean())
        for seed in range(200)
    ]
    assert 0.35 < sum(share > 0 for share in shares) / 200 < 0.65
    assert all(share < 0.36 for share in shares)
    assert torch.equal(view, torch.ones(3, 32, 32))


def test_changed_pixels_are_the_same_again_after_a_restart() -> None:
    image, changes = Image.effect_noise((64, 64), 80).convert("RGB"), PixelChanges(9, 0.5)
    one, again, other = (augmented(image, SPEC, photo_rng(1, epoch, 3), changes) for epoch in (2, 2, 3))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
