import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn

from contract.classes import Classes
from serving.explain import class_maps, heat_maps, overlay
from vision.backbones import BACKBONES, build_backbone, load_backbone
from vision.classifier import Classifier, LoadedModel

Photos = NDArray[np.uint8]
CLASSES = Classes(("001.A", "002.B", "003.C"))
# A cell of the last feature map is 32 pixels wide.
CELL = 32


def loaded(classifier: Classifier) -> LoadedModel:
    return LoadedModel(classifier.eval(), CLASSES, classifier.backbone.preprocessing, {})


def drawn(number: int, disc: tuple[int, int] | None = None) -> Photos:
    """Return a photo (1, 3, 224, 224) of a soft pattern, with a red disc on it where asked."""
    noise = np.random.default_rng(number).integers(60, 160, (7, 7, 3), np.uint8)
    image = Image.fromarray(noise).resize((224, 224), Image.Resampling.BICUBIC)
    if disc is not None:
        x, y = disc
        ImageDraw.Draw(image).ellipse((x - 24, y - 24, x + 24, y + 24), fill=(230, 20, 20))
    return np.asarray(image).transpose(2, 0, 1)[None].copy()


@pytest.mark.parametrize("name", BACKBONES)
def test_what_the_places_add_comes_to_the_logit(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name)
    model = loaded(Classifier(backbone, nn.Linear(backbone.feature_dim, 3)))
    photos = np.concatenate([drawn(1), drawn(2)])
    with torch.inference_mode():
        logits = model.classifier(model.preprocessing.normalise(torch.from_numpy(photos)))  # (2, 3)
    maps = class_maps(model, photos, [2, 0])  # (2, h, w)
    sums = maps.mean(dim=(1, 2)) + model.classifier.head.bias[[2, 0]]
    torch.testing.assert_close(sums, logits[[0, 1], [2, 0]], atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def disc_or_not() -> LoadedModel:
    """Return a model that tells photos with a red disc from those without, by the mean of some of each."""
    backbone = load_backbone("efficientnet_lite0").backbone
    spec = backbone.preprocessing

    def mean(photos: list[Photos]) -> torch.Tensor:
        features: torch.Tensor = backbone(spec.normalise(torch.from_numpy(np.concatenate(photos))))  # (N, D)
        return features.mean(dim=0)

    head = nn.Linear(backbone.feature_dim, 3)
    with torch.inference_mode():
        direction = mean([drawn(n, (60 + 30 * n, 170 - 30 * n)) for n in range(4)]) - mean([drawn(n) for n in range(4)])
    with torch.no_grad():
        head.weight.zero_()
        head.weight[1] = direction.clone()
    return loaded(Classifier(backbone, head))


@pytest.mark.parametrize("disc", [(56, 56), (168, 56), (56, 168), (168, 168)])
def test_the_heat_is_where_the_object_is(disc_or_not: LoadedModel, disc: tuple[int, int]) -> None:
    (heat,) = heat_maps(disc_or_not, drawn(20, disc), [1])  # (224, 224)
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert max(abs(int(x) - disc[0]), abs(int(y) - disc[1])) <= CELL
    far = np.ones_like(heat, bool)
    far[max(0, disc[1] - 80) : disc[1] + 80, max(0, disc[0] - 80) : disc[0] + 80] = False
    assert heat[far].mean() < 0.3


def test_heat_is_float32_from_0_to_1_of_the_photos_size_also_where_every_place_says_the_same(
    disc_or_not: LoadedModel,
) -> None:
    heat = heat_maps(disc_or_not, drawn(20, (100, 100)).repeat(2, axis=0), [1, 0])  # class 0 has no weights
    assert heat.shape == (2, 224, 224)
    assert heat.dtype == np.dtype(np.float32)
    assert heat[0].min() >= 0
    assert heat[0].max() <= 1
    assert not heat[1].any()


def test_a_class_for_every_photo_is_expected(disc_or_not: LoadedModel) -> None:
    with pytest.raises(ValueError, match="1 photos and 2 classes"):
        heat_maps(disc_or_not, drawn(1), [0, 1])


def luminance(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture.convert("L"), np.float64)


def test_the_picture_is_a_jpeg_in_which_heat_is_read_by_brightness_alone() -> None:
    grey = np.full((3, 64, 256), 128, np.uint8)
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(64, axis=0)
    picture = Image.open(io.BytesIO(overlay(grey, ramp)))
    assert (picture.format, picture.size) == ("JPEG", (256, 64))
    rising = luminance(picture).mean(axis=0)[16::32]  # eight places from cold to hot
    assert (np.diff(rising) > 3).all()


def test_the_photo_can_be_seen_through_the_heat_and_beside_it() -> None:
    board = (np.indices((64, 64)).sum(axis=0) // 8 % 2 * 255).astype(np.uint8)
    photo = np.stack([board] * 3)
    for heat in (0.0, 0.5, 1.0):
        seen = luminance(Image.open(io.BytesIO(overlay(photo, np.full((64, 64), heat, np.float32)))))
        assert seen[board == 255].mean() - seen[board == 0].mean() > 60
