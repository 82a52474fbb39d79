from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vision.backbones import load_backbone
from vision.decoding import decode
from vision.photos import read_photo
from vision.preprocessing import Preprocessing

SPEC = Preprocessing(256, 224, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2), "bicubic")


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


def test_the_result_has_the_shape_and_type_of_the_backbones_input() -> None:
    result = SPEC.apply(noise(300, 200))
    assert (result.shape, result.dtype) == ((3, 224, 224), torch.float32)


def test_a_uniform_photo_becomes_its_normalised_colour() -> None:
    result = SPEC.apply(Image.new("RGB", (50, 70), (255, 51, 0)))
    expected = torch.tensor([(1 - 0.5) / 0.5, (0.2 - 0.4) / 0.25, (0 - 0.3) / 0.2]).view(3, 1, 1)
    assert torch.allclose(result, expected.expand(3, 224, 224), atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(640, 512), (300, 900), (100, 150)])  # torchvision has nothing to round here
def test_it_agrees_with_torchvisions_resize_and_centre_crop(interpolation: str, size: tuple[int, int]) -> None:
    from torchvision.transforms import v2

    spec = Preprocessing(256, 224, (0, 0, 0), (1, 1, 1), interpolation)  # type: ignore[arg-type]  # parametrised
    image = noise(*size)
    theirs = v2.Compose(
        [
            v2.Resize(256, v2.InterpolationMode(interpolation), antialias=True),
            v2.CenterCrop(224),
            v2.PILToTensor(),
        ]
    )(image)
    difference = ((spec.apply(image) * 255).round() - theirs).abs()
    assert difference.max() <= 2  # of 255: it rounds to whole values before it crops


def test_a_photo_one_pixel_high_costs_no_memory() -> None:
    assert SPEC.apply(Image.new("RGB", (5_000_000, 1))).shape == (3, 224, 224)


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    SPEC.save(tmp_path / "preprocessing.json")
    assert Preprocessing.load(tmp_path / "preprocessing.json") == SPEC


@pytest.mark.parametrize(
    ("resize", "crop", "std", "interpolation"),
    [
        (200, 224, (1.0, 1.0, 1.0), "bicubic"),
        (256, 0, (1.0, 1.0, 1.0), "bicubic"),
        (256, 224, (1.0, 0.0, 1.0), "bicubic"),
        (256, 224, (1.0, 1.0, 1.0), "nearest"),
    ],
)
def test_a_spec_that_cannot_be_applied_is_refused(
    resize: int, crop: int, std: tuple[float, float, float], interpolation: str
) -> None:
    with pytest.raises(ValueError, match="expected"):
        Preprocessing(resize, crop, (0, 0, 0), std, interpolation)  # type: ignore[arg-type]  # that is the point


def test_the_network_sees_what_it_saw_through_pillow(dogs: Path) -> None:
    backbone = load_backbone("efficientnet_lite0").backbone
    spec = backbone.preprocessing
    ours, pillows = [], []
    for path in sorted(dogs.glob("test/*/*.jpg"))[::12]:
        image = read_photo(path.read_bytes()).image
        (width, height), side = image.size, min(image.size) * spec.crop / spec.resize
        box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
        scaled = np.array(image.resize((spec.crop, spec.crop), Image.Resampling.BICUBIC, box=box))  # (crop, crop, 3)
        pillows.append((torch.from_numpy(scaled).permute(2, 0, 1) / 255 - 0.5) / 0.5)
        ours.append(spec.apply(decode(path.read_bytes())))
    with torch.inference_mode():
        alike = torch.cosine_similarity(backbone(torch.stack(ours)), backbone(torch.stack(pillows)))
    assert alike.min() > 0.998
