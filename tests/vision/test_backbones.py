from pathlib import Path

import pytest
import torch

from contract.classes import Classes
from vision import backbones, weights
from vision.backbones import BACKBONES, Backbone, build_backbone, load_backbone
from vision.decoding import decode
from vision.weights import Weights, WeightsError


@pytest.fixture(scope="module")
def lite() -> Backbone:
    return load_backbone("efficientnet_lite0").backbone


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "empty-cache"))


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_the_promised_dimension(name: str) -> None:
    backbone = build_backbone(name).eval()
    with torch.inference_mode():
        assert backbone(torch.zeros(2, 3, 32, 32)).shape == (2, backbone.feature_dim)


def test_the_stages_run_one_after_the_other_are_the_whole_network(lite: Backbone) -> None:
    photos = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first = lite.run(photos, lite.stages[:4])
        assert torch.equal(lite.run(first, lite.stages[4:]), lite(photos))


def test_every_parameter_belongs_to_exactly_one_stage() -> None:
    for name in BACKBONES:
        backbone = build_backbone(name)
        staged = [id(p) for _, modules in backbone.stages for module in modules for p in module.parameters()]
        assert sorted(staged) == sorted(id(p) for p in backbone.parameters())


def test_an_unknown_backbone_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="resnet50, efficientnet_lite0"):
        load_backbone("vgg")


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="imagenet or none"):
        load_backbone("resnet50", weights="cifar")


def test_random_weights_follow_from_the_seed() -> None:
    one, same, other = (load_backbone("efficientnet_lite0", weights="none", seed=seed) for seed in (1, 1, 2))
    assert one.backbone.digest() == same.backbone.digest() != other.backbone.digest()
    assert one.origin == "random weights, seed 1"


def test_the_digest_tells_weights_apart(lite: Backbone) -> None:
    assert lite.digest() != load_backbone("efficientnet_lite0", weights="none").backbone.digest()


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_and_says_so() -> None:
    loaded = load_backbone("auto")
    assert loaded.backbone.name == "efficientnet_lite0"
    assert loaded.notice is not None
    assert "EfficientNet-Lite0" in loaded.notice
    assert "network is unreachable" in loaded.notice


@pytest.mark.usefixtures("offline")
def test_resnet50_never_falls_back_and_names_the_two_ways() -> None:
    with pytest.raises(WeightsError, match=r"Either put .* as resnet50.pth under .* or run where download.pytorch.org"):
        load_backbone("resnet50", weights_uri="s3-less/folder")


@pytest.mark.usefixtures("offline")
def test_resnet50_is_loaded_from_a_folder(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = resnet50(weights=None)
    torch.save(network.state_dict(), tmp_path / "resnet50.pth")
    loaded = load_backbone("auto", weights_uri=str(tmp_path))
    assert (loaded.backbone.name, loaded.notice) == ("resnet50", None)
    assert torch.equal(loaded.backbone.network.state_dict()["layer4.0.conv1.weight"], network.layer4[0].conv1.weight)


def test_weights_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "efficientnet_lite0_weights", lambda: Weights({"x": torch.zeros(1)}, "a test"))
    with pytest.raises(WeightsError, match="a test do not fit"):
        load_backbone("efficientnet_lite0")


def test_every_key_of_the_wheel_has_its_own_place_in_timms_network() -> None:
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    found = weights.efficientnet_lite0_weights().state_dict
    assert {key: value.shape for key, value in found.items()} == {
        key: value.shape for key, value in network.state_dict().items() if not key.startswith("classifier")
    }


def test_photos_of_one_breed_lie_closer_than_those_of_two(lite: Backbone, dogs: Path) -> None:
    """Weights, key names and preprocessing belong together: wrong ones give features that say nothing."""
    folders = sorted((dogs / "valid").glob("*"))
    pictures = [decode(path.read_bytes()) for folder in folders for path in sorted(folder.iterdir())[:2]]
    with torch.inference_mode():
        features = lite(torch.stack([lite.preprocessing.apply(picture) for picture in pictures]))
    features = torch.nn.functional.normalize(features - features.mean(0))
    likeness = (features @ features.T).fill_diagonal_(-1)
    nearest = likeness.argmax(dim=1)
    assert (nearest // 2 == torch.arange(20) // 2).float().mean() >= 0.8
    assert len(Classes(tuple(folder.name for folder in folders))) == 10
